"""What an operation would do, without doing it."""
