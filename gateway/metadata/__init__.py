"""``$metadata`` → model → catalog → GraphQL schema."""
