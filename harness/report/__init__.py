"""Markdown, CSV, SVG and HTML of leaderboards."""
