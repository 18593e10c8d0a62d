"""Data sets: how they lie on a disk, who trains and who tests, who is seen in which video, and leaks."""
