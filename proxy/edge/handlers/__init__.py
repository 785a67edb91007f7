"""One handler a room of the URL space."""
