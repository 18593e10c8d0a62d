"""Many data sets and protocols in one command: a list of them, a run's scores on each, one table."""
