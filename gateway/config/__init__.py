"""Settings: their table, where values come from, how they are printed; profiles."""
