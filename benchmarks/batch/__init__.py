"""Whole files: rows a second and a processor second, by engine, and what of it is work."""
