"""HTML for people; pure functions."""
