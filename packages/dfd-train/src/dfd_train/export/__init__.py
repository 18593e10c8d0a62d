"""A trained run as a file that other programs run: `run` writes it, `onnx` and `folder` are its two forms."""
