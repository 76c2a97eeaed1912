"""Upstream answers that several operations use: those under way, and those that are cached for a while.

    ReadRequests ──▶ OperationReads ──cached?──▶ an answer of the cache, with its age
                          │ no
                          ├─under way?──▶ the answer that another operation waits for (``in_flight``)
                          └─no──▶ the service ──▶ cached, if all of its entity sets are on the list (``answer_store``)

Only answers of the service are cached, never answers to GraphQL operations: a role's row rules are part of the address,
and its masks are applied to what was read. What the gateway writes evicts the answers with rows of the same sets.
"""
