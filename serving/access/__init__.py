"""Who may do what, how callers are known, and how fast they may call."""
