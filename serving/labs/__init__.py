"""Laboratory results: taken in whole or not at all, followed up, estimated from."""
