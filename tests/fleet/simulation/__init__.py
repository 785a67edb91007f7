"""Simulation of a fleet in virtual time: the real `proxy/fleet`, and everything around it."""
