"""Imports: rows of a file are written as mutations of lists, and each has a result."""
