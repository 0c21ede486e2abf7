"""Bundled labelers, one file a plugin."""
