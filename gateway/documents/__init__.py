"""GraphQL text → validated document."""
