"""Admission: which upstream request is sent next, how many at a time, and which operation is refused instead.

work         for whom a request is sent: its lane, caller, weight, and until when it may wait
admission    the way to one service with one credential; the rest are its parts
slots        who is under way, who waits, who is next
queue        weighted fair queues of lanes and their callers
controller   how many may be under way, learned from refusals
latencies    how much slower answers are than they could be
background   how many of them may be exports and polls
pause        the wait after a 429, which all requests of one identity share
"""
