"""A page on this machine: drop a video, watch how far it is, read the report.

guard (who may ask) -> app (addresses) -> uploads (from a browser to a file) -> jobs (one after the other, by
`dfd_train.predict`). HTTP itself is uvicorn's, with h11 as its parser, which refuses what two parsers could read in two
ways; `listening` sets it up.
"""
