"""Campaign: random faults of a fleet of real processes, and whether any response was wrong."""
