"""What is known of Trello's API: routes, effects of writes, ids, failures; pure."""
