"""Clock, background tasks, LRU, offloading; no business knowledge."""
