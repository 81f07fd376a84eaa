"""Whole files and folders: scored in constant memory, on one machine or many, whatever is killed meanwhile."""
