"""One handler per part of the URL space."""
