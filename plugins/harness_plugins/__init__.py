"""The bundled plugins. They enter by the same door as everybody else's: entry points of the group ``harness``."""
