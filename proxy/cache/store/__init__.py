"""Where stored responses are kept: memory and disk."""
