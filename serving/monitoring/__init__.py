"""Watching a model at work."""
