"""What the proxy knows of itself: health, metrics, history, explanations."""
