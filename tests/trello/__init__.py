"""Tests of proxy/trello."""
