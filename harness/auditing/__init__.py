"""Whether a number can be trusted: leaks, duplicates, shifts, other truths."""
