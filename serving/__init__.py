"""From a bundle to decisions: scoring, policy, evidence."""
