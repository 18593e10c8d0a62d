"""Digests: what a lab gives away so that another can show that it has the same crops, without sharing a pixel.

- `table`: the file, one row a crop or box
- `make`: from a work folder
- `compare`: a digest with a work folder
"""

from __future__ import annotations

from ffpp_prep.digests.compare import Comparison, check_digest
from ffpp_prep.digests.make import make_digest

__all__ = ["Comparison", "check_digest", "make_digest"]
