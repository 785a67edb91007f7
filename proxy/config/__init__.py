"""proxy.yaml: schema, parsing, secrets."""
