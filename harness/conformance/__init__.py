"""What every plugin promises, as checks: form, labelers, blocks (embedders and feature sets), splitters."""
