"""Tests of proxy/attachments."""
