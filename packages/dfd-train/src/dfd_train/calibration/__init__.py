"""What a model's numbers are worth: the deployed score, how it is learned on validation videos, and what it may claim.

stretches, scales -> score (frames to a face's value to a probability); choosing, limits -> learned -> kept in a run's
folder. Tables of predictions only: no video, no network. docs/metrics.md says it in words.
"""
