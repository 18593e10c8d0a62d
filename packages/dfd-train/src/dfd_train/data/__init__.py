"""From a prepared data set to batches: which videos, which frames, which crops, which augmentation."""
