"""Fleet's transport: requests relayed to the leader, sessions between nodes (D65)."""
