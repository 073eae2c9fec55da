"""Run a function in a child process, forked, so that it may be killed without loading everything anew."""

import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from typing import NamedTuple


class Ended(NamedTuple):
    """How a child ended: its exit code, or minus the signal that killed it; and what it said on stderr."""

    code: int
    said: str


def child(function: Callable[[], object]) -> Ended:
    """Fork, call, wait. As in a program of its own: no filters of pytest's, no captured streams."""
    with tempfile.TemporaryFile() as words:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads: none is needed
            pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.dup2(words.fileno(), 2)
                sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
                signal.signal(signal.SIGINT, signal.default_int_handler)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                warnings.simplefilter("default")
                warnings.showwarning = _show
                function()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        words.seek(0)
        return Ended(os.waitstatus_to_exitcode(status), words.read().decode())


def _show(message, category, filename, lineno, file=None, line=None):
    """As Python does, where pytest collects them."""
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))
