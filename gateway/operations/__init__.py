"""Document → compiled operation: shapes, row types, completion, ids, cursors, pages."""
