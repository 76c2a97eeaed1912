"""The gateway: a GraphQL operation becomes a plan, the plan OData requests, their rows the answer.

    text ─documents▶ document ─operations▶ compiled operation ─planning▶ plan ─execution▶ rows ▶ answer
                                                                  │
                                  fetcher: dialect.lower ▶ render ▶ Request ▶ client (odata)

``engine`` is the whole request on one page. ``runtime`` puts the parts together, ``app`` and ``http`` serve them, and
``cli`` starts them. Each folder imports lower ones only: ``tests/test_architecture.py`` has the floors.
"""
