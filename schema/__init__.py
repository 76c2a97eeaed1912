"""From a metadata document to a GraphQL schema. Pure: no I/O, nothing asynchronous, nothing of ``gateway``.

``csdl`` reads the document into a ``model``; ``exposure`` and ``relations`` change the model; ``catalog`` decides
every GraphQL name, type and operator; ``build`` makes the Strawberry schema from the catalogue when an operation first
touches it.
"""

MARK = "d365-graphql-gateway"
"""Whose package this is: PyPI has another one of the same name."""
