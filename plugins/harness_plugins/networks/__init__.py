"""Neural networks: four labelers and how they are trained."""
