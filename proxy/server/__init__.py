"""The side that clients connect to: connections, requests, responses."""
