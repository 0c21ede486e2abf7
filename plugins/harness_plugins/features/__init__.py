"""Bundled features, one file a plugin."""
