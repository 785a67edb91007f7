"""Attachment files: authorization, download, storage, ranges."""
