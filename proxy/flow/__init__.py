"""The order of things: obtain values, ask policy, act on the verdict."""
