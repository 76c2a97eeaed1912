"""Data packages: entity sets that a product exports whole, by itself, as a file that is downloaded and converted."""
