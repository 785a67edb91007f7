"""Access: who a client is, what it may see and do."""
