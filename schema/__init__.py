"""From a metadata document to a GraphQL schema. Pure: no I/O, nothing asynchronous, no import of ``gateway``.

``csdl`` reads the document into a ``model``, which ``exposure`` and ``relations`` reduce and extend. ``catalog`` (and
``writes``) determine every GraphQL name, type and operator; ``types`` creates the Strawberry schema from them on first
use. ``introspection``, ``search``, ``why`` and ``compare`` read the same records.
"""

MARK = "d365-graphql-gateway"
"""Identifies this package: PyPI has another one of the same name."""
