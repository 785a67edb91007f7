"""Attachment links: rewriting, signing, pasted URLs; pure."""
