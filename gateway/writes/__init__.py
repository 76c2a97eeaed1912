"""Writing: mutations become OData writes, one after the other or all in one changeset.

    arguments ──binder──▶ RowWrite, CallWrite ──sender──▶ requests ──outcome──▶ Outcome ──payload_reader──▶ Payload

``operations`` puts the parts of one operation together and ``runner`` runs it; ``references`` lets a later mutation use
a row of an earlier one. ``changesets`` and ``header_first`` decide which rows are written together. ``success`` and
``refusal_attribution`` read answers. graphql-core completes the payloads over loaded rows, as everything unusual.
"""
