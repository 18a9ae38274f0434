"""The command line: `commands` has the small commands and the errors, the others a module each; `main` is the door."""

from testbed.cli.commands import main as main
