"""Unified models: one shape over the entity sets of a product, declared by mapping files."""
