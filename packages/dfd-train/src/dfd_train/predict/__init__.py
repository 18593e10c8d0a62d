"""Scoring one's own files: faces found and followed, scored, calibrated, and shown to a person.

inputs -> faces (ffpp-prep's detector and tracks) -> scorer, ensemble -> analysis -> result -> outputs -> batch.
"""
