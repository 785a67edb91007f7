"""Composition: builds the components of one proxy, starts and stops them."""
