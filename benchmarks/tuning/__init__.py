"""Choosing settings inside the training part of a task; test rows are cut off before anything else is done."""
