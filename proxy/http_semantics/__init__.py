"""HTTP semantics without Trello (RFC 9110, 9111, 9211); pure."""
