"""Metrics, logs, statistics per client."""
