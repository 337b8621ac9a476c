"""A lab in a test's hands: traffic, faults, waits and figures, without pytest."""
