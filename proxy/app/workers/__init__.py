"""Workers: processes that accept clients' connections, and their parent, which decides (D74)."""
