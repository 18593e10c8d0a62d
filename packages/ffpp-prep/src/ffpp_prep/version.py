"""The one place of the version: the package, its metadata and a cluster's workers read it here."""

__version__ = "0.1.0"
