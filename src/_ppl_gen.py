"""The command ``ppl-gen``, as far as Ctrl-C before torch is loaded, and after the last word."""

import os
import signal


def main() -> int:
    """Run the command line; returns the exit code."""

    def stop(*_: object) -> None:  # an exception amid an import would be told as that import's failure
        os.write(2, b"ppl-gen: stopped by Ctrl-C\n")
        os._exit(130)

    signal.signal(signal.SIGINT, stop)
    from ppl_gen.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return main()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Python is tidying up: there is nothing left to stop
