"""Published detectors: cards that say how each is built, fed and read, and weights that a user brings."""
