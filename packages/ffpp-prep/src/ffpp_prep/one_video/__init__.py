"""One video: its boxes, the tracks they form, its crops, and whether a fake differs from its original."""
