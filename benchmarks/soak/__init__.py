"""The service near its capacity for long: memory, latency, errors, and whether anything acknowledged is lost."""
