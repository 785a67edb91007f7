"""Attachment files on disk."""
