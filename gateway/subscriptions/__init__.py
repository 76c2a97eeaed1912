"""Subscriptions: changed rows are found by polling, once for all subscribers to the same.

    operation ──start──▶ ActiveSubscription ──hub──▶ Feed ◀──changes── Watch ──▶ Poll (a query of ours, every interval)
                                                      │
    WebSocket, event stream ◀──streams── rows of the changes: one query for all of a poll, in the subscriber's scope

Polls and the queries for changed rows are ordinary operations of the engine, with its limits, retries and deadline.
Each uses the current generation, so new metadata end no subscription, and no subscription keeps an old generation
alive.
"""
