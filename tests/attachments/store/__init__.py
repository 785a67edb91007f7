"""Tests of proxy/attachments/store."""
