"""Neural networks: five labelers and how they are trained."""
