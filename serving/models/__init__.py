"""Which bundle serves: checked, promoted, swapped in, rolled back, and challengers in shadow."""
