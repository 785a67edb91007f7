"""How changes made elsewhere are detected: polling and webhooks."""
