"""Subscriptions: rows that change are found by asking again and again, once for all who wait for the same.

    subscribe ──operation──▶ Subscribed ──hub──▶ Feed ◀──changes── Watch ──▶ poll (a query of ours, every interval)
                                  │                │
    WebSocket, event stream ◀──stream── rows of the changes: one query for all of a poll, in the subscriber's scope

Everything that is asked goes through the engine as an operation like any other, with its limits, its retries and its
deadline. A watch asks the generation that serves at the moment, so new metadata end no subscription, and no
subscription keeps an old generation.
"""
