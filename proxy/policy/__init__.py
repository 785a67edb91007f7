"""What is right: pure decisions, no waiting, no clock, no disk."""
