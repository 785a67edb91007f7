"""Route handlers, one module for each resource; each ends in its TABLE of routes."""
