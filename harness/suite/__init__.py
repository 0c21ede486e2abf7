"""From YAML to checked objects, and the catalog of plugins."""
