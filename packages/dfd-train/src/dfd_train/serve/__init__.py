"""A page on this machine: drop a video, watch how far it is, read the report.

uploads (from a browser to a file) -> jobs (one after the other, by `dfd_train.predict`) -> app (addresses, HTTP).
"""
