"""From past results to a bundle that scores listings."""
