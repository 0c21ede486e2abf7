"""Bundled embedders, one file a plugin."""
