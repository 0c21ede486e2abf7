"""Bundled wrappers, one file a plugin."""
