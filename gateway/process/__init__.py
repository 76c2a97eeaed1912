"""What concerns the operating system process: garbage collection, read-ahead, imports. Imports nothing of ours but this."""
