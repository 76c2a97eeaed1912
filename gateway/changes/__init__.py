"""Changes of a list since a cursor: ``Query.changes`` and, one answer after the other, ``Subscription.changes``.

    no cursor ──▶ the whole list, page by page ──▶ what has changed since it began ──▶ what has changed since …

What a cursor holds decides what comes next, so any process can continue. Reads are ordinary operations of the engine:
scope, rules, masks, limits and admission are those of any list.
"""
