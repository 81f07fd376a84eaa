"""The review desk: claims, choices, second persons, bulk actions, golden items."""
