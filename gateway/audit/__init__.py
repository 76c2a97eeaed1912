"""Who did what: a log of its own, chained by digests."""
