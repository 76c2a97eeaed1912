"""Jobs: what callers start and fetch later. They are stored, and go on in another process if theirs is killed."""
