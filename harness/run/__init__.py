"""Blocks, neighbour lists, cells, store: everything that is executed."""
