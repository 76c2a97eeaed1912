"""What the gateway keeps: SQLite in ``data_dir``, which is no cache."""
