"""A run on the disk: its folder and events, checkpoints, tables of predictions."""
