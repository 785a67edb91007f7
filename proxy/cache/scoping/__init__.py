"""Scoping: what a client with a scope may see, read through the cache that all clients share."""
