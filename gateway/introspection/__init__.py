"""Answers ``__schema``, ``__type`` and ``_service``; long answers are written by a subprocess and cached."""
