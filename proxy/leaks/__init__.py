"""`check --leaks`: a proxy with canary credentials, walked through, and searched for them."""
