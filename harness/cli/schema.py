"""`harness schema`: print the JSON schema of suite files."""

import json

from harness.cli.options import Plugin
from harness.suite import catalog


def schema(plugin: Plugin = None) -> None:
    """Print the JSON schema of suites, with the fields of all installed
    plugins. An editor completes and checks a suite by it.

    Write it beside your suites and name it in their first line, as `harness init` does:

    # yaml-language-server: $schema=harness.schema.json
    """
    from harness.suite.schema import suite_schema

    print(json.dumps(suite_schema(catalog.discover(tuple(plugin or ()))), indent=1))
