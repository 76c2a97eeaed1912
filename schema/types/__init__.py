"""Catalogue → Strawberry schema; types are created on first use."""
