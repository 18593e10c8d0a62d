"""The detectors in torch, for GPUs: the same weights and rules as with LiteRT, batch by batch on the device."""
