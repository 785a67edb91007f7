"""Handlers of requests: one file for each part of the URL space."""
