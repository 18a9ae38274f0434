"""`python -m testbed.cli`: the command line without its launcher."""

from testbed.cli.app import main

if __name__ == "__main__":
    main()
