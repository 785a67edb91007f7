"""The response store: memory and disk tiers."""
