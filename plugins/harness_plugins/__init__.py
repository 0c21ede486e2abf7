"""The bundled plugins, found by entry points of the group ``harness``."""
