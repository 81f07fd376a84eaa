"""The audit: whether the record is whole, and whether a decision comes out the same again."""
