"""Files on disk: metadata documents, models, long responses; content codings."""
