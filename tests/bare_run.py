"""A run without summary, pictures and report: `python -m tests.bare_run SCENARIO RESULTS`."""

import sys

from testbed.errors import TestbedError
from testbed.experiment import python_api

if __name__ == "__main__":
    try:
        python_api.run(python_api.load(sys.argv[1]), sys.argv[2])
    except TestbedError as error:
        sys.exit(str(error))
