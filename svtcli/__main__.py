"""Entry point of the script `svt` and of `python -m svtcli`."""

import signal
import sys


def main() -> int:
    """Run the command line, with signals caught from the first moment on."""
    stops = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # until `catch`; imports take time
    from svtcli.cli.streams import protect_streams, read_names_as_utf8
    from svtcli.run.signals import catch

    protect_streams()
    read_names_as_utf8()
    catch()
    from svtcli.cli.app import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
