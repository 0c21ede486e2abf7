"""Long drivers, run by hand with `make soak`; docs/reliability.md has their last figures."""
