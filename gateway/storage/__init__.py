"""Files in the cache folder: metadata documents, models, long responses. Content codings."""
