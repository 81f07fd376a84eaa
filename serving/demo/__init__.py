"""The product shown on the invented sample."""
