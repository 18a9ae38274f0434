"""The command line: one file per command, in rooms by purpose. `app` joins them and turns errors into exit codes.

Heavy packages are imported by the command that needs them, inside its function, so that `dyncast --help` and
`dyncast validate` answer at once. `main` is the door.
"""

from testbed.cli.app import main as main
