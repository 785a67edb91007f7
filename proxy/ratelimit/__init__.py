"""Trello's rate limits: sliding windows, priorities, the queue."""
