"""The commands, one file a group; `harness.cli` lists them. None of them imports another but `options`."""
