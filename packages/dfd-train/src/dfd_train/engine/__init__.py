"""Training, scoring and their state on disk."""
