"""A caching proxy for Trello's API; the version, nothing else."""

__version__ = "0.1.0"
