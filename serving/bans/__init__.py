"""Bans and matches: what must not come back, how it is recognised, and what a new ban does to what is live."""
