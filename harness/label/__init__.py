"""`harness label`: from a leaderboard to labels of the whole pool."""
