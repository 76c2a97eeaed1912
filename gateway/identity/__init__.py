"""Who calls: the identity of a request's caller, verified from tokens, API keys and client certificates."""
