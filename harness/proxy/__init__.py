"""From a leaderboard to labels: what `harness label` does."""
