"""`python -m svtcli` is `svt`."""

import sys

from svtcli.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
