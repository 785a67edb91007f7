"""What we keep: the only disk."""
