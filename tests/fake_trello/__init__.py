"""Tests of proxy/fake_trello."""
