"""The OData side: queries as values, what each product can answer, and the way to the service.

    query ──lower──▶ query ──render──▶ request ──client──▶ response
              ▲
           dialect: flags and parts of one product; ``dialects`` is their registry

Each word is a module. Nothing here knows GraphQL; operations reach the service through the protocols of ``upstream``.
"""
