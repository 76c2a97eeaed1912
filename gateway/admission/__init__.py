"""Admission: which upstream request is sent next, how many at a time, and which operation is refused instead.

work         for whom a request is sent: its lane, caller, weight, and until when it may wait
"""
