"""The contracts of plugins: Block, Items, Task, Predictions, protocols."""
