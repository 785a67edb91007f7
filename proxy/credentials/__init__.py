"""Credentials: extraction, redaction, identity."""
