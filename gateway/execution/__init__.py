"""Execution: runs plans, and returns loaded rows or the finished answer."""
