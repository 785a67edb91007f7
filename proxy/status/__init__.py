"""The proxy's view of itself: health, metric readings, history, explanations."""
