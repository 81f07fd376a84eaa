"""The sampling plan: what to test, where, and with which probability it was chosen."""
