"""Measures the gateway for those who run it: metrics and traces, as sinks of the event stream."""
