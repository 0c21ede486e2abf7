"""Bundled splitters, one file a plugin."""
