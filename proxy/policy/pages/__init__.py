"""Pages for people, as HTML: pure functions from values to bytes. Every value is escaped."""
