"""The operating system process: garbage collection, read-ahead, imports, masking. Imports nothing of ours."""
