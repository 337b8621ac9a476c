"""The bounds that netemu promises, as commands that print a table: `python -m benchmarks`."""
