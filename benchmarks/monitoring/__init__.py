"""Watching decisions, measured."""
