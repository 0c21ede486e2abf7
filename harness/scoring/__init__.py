"""Predictions meet the truth: scores, leaderboards, comparisons."""
