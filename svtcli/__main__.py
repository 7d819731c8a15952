"""Entry point of the script `svt` and of `python -m svtcli`."""

import sys

from svtcli.cli.streams import protect_streams, read_names_as_utf8


def main() -> int:
    """Run the command line."""
    protect_streams()
    read_names_as_utf8()
    from svtcli.cli.app import main as run  # whose imports take their time

    return run()


if __name__ == "__main__":
    sys.exit(main())
