"""Entry point of the script `svt` and of `python -m svtcli`."""

import sys

from svtcli.cli.streams import protect_streams, read_names_as_utf8
from svtcli.run.signals import catch


def main() -> int:
    """Run the command line, with signals caught from the first moment on."""
    protect_streams()
    read_names_as_utf8()
    catch()
    from svtcli.cli.app import main as run  # whose imports take their time

    return run()


if __name__ == "__main__":
    sys.exit(main())
