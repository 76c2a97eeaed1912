"""Answers to ``__schema``, ``__type`` and ``_service``."""
