"""What people write: a recipe's fields, reading it, and errors with line and column."""
