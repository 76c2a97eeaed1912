"""Catalog → Strawberry schema, types made when first touched."""
