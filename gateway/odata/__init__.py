"""The OData side: queries as values, what each product can answer, and the way to the service.

    query ──lower──▶ query ──render──▶ request ──client──▶ response        (``query``, ``lower``, ``render``, ``client``)
              ▲
           dialect                        flags and parts of one product: ``dialect``; the registry: ``dialects``

It knows nothing of GraphQL. Operations reach the service through the protocols of ``upstream``.
"""
