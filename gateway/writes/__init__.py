"""Writing: mutations become OData writes, one after the other or all in one changeset.

    arguments ──bind──▶ RowWrite, CallWrite (plan) ──run──▶ requests ──outcome──▶ Outcome ──▶ rows of the payload

``values`` spells values for JSON bodies, ``references`` lets a later mutation use a row of an earlier one, ``requests``
prints, ``outcome`` reads answers, ``nested``, ``lists`` and ``atomic`` are the three ways to group writes, ``mutate``
runs an operation. The payloads are completed by graphql-core over loaded rows, as everything unusual is.
"""
