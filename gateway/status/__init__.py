"""How each environment does, for the people who run the deployment: calls, errors, throttling, drift of its metadata.

    events ──▶ Counters ──▶ memory of this process ──each 10 s──▶ the store ──▶ sums over all processes
    new metadata ──▶ DriftRecorder ──▶ changes for clients ──▶ the store

Requests wait for none of it: counting adds a microsecond to an upstream request, and what is slow happens in threads.
"""
