"""Plan → rows → answer."""
