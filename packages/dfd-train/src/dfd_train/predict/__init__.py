"""Scoring one's own files: faces found and followed, scored, calibrated, and shown to a person.

inputs -> faces (ffpp-prep's detector and tracks) -> scorer, ensemble -> analysis -> result -> outputs -> batch.
"""

from importlib.util import find_spec


def require_ffpp_prep() -> None:
    """Raises: ValueError where ffpp-prep, whose detector finds the faces, is not installed."""
    if find_spec("ffpp_prep") is None:
        raise ValueError(
            "faces are found by ffpp-prep, which is not installed: pip install ffpp-prep, "
            "in a clone of the repository pip install packages/ffpp-prep"
        )
