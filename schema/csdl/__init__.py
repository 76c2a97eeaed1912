"""CSDL text → model."""
