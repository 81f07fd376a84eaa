"""Speed of the decision store."""
