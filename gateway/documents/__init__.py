"""GraphQL text → validated document, and what reads its variables and arguments.

The bounded caches of a request, from text to answer. Each drops the least recently used entry first:

    cache                    key → value                                     bound            emptied by
    store.Documents          text → checked document (or its errors)         500,000          retirement
                                                                             characters,
                                                                             1,000 texts
    operations.cache:        document, operation, values of @skip and        1,000            retirement
      prepared               @include → prepared operation
    operations.cache:        fingerprint (no literals, no names of           200              retirement
      compiled               variables), conditions → what is compiled
    completion_compiler:     response keys → struct class of an answer       1,000            nobody: shared by all
      _shared_answer_class                                                                    schemas
    ArtifactStore            request for introspection → compressed answer   12 mapped,       pruned by age; another
                             (on disk if there is a cache folder)            24 files         identity, another folder

Retirement: when a generation of the schema is replaced and its last request has been answered, ``runtime.generations``
clears the tables that ``Engine.tables()`` yields, in steps, so that no pause of the garbage collector is long.
"""
