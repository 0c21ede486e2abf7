"""Hashing, locks, child processes, YAML with line numbers."""
