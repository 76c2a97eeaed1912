"""Export: whole lists as NDJSON, CSV, Parquet or Arrow, read page by page as GraphQL operations of the caller."""
