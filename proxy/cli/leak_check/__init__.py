"""`check --leaks`: searches a running proxy for credentials in what it sends, logs and stores."""
