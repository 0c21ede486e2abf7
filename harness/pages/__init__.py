"""What is shown: Markdown, CSV, SVG and HTML."""
