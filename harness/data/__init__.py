"""From a file to a Dataset, its splits, and the Task cut from one."""
