"""How weights move: optimizers by name, RAdam as the thesis used it, the learning rate over a run."""
