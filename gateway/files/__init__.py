"""Single files of rows, such as attachments: read and written as bytes, and never in memory as a whole."""
