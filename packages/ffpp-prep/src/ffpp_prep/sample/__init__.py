"""Demonstration data: a small FaceForensics++-shaped tree from real faces that Python packages ship.

`sources` says whose faces and where their pictures are, `plan` who plays in which video, `camera` films a take,
`forge` manipulates it, `encode` writes it, `write` does all of it. Needs the extra `ffpp-prep[sample]`.
"""

from ffpp_prep.sample.write import SampleSummary, write_sample

__all__ = ["SampleSummary", "write_sample"]
