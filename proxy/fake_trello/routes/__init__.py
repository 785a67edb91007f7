"""What the stand-in answers, one file a resource; each ends in its TABLE of routes."""
