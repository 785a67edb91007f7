"""The command `trello-proxy`."""
