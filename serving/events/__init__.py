"""Events out: what happened, signed and delivered until it is acknowledged."""
