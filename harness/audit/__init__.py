"""`harness audit`: leaks, duplicates, shifts, other truths."""
