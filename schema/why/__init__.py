"""Where a name of the API comes from."""
