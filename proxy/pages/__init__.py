"""HTML pages for people, and the same content as text and JSON; pure functions."""
