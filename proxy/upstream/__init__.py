"""Whom we ask: the only outward socket."""
