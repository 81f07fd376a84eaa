"""Orders and alerts of authorities, complaints, and whether what was ordered really happened."""
