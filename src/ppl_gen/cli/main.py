"""From words on a command line to an exit code: no user's mistake ends in a traceback."""

import argparse
import errno
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress

from ppl_gen import ranks
from ppl_gen.cli.advice import in_options
from ppl_gen.cli.parser import COMMANDS, commands_of, parser
from ppl_gen.cli.questions import spelled_out
from ppl_gen.cli.terminal import Terminal, legible
from ppl_gen.errors import (
    Interrupted,
    NotCompiled,
    NotSaved,
    OutOfStep,
    PplGenError,
    Repeated,
    Unreliable,
)

OK, WRONG, MISTAKE, STOPPED, UNREAD = 0, 1, 2, 130, 141
SPOKEN = (Unreliable, NotCompiled, Repeated, NotSaved)
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}  # no mistake in what was asked


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    It is 0, 2 for a user's mistake, 1 where something went wrong, 130 after Ctrl-C and 141 where a pipe was
    closed, as by ``| head``. Several processes (torchrun) share a fit; of all else the first does all.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    with legible():
        try:
            try:
                code = _main(words)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()  # where the disk is full or nobody reads, say so now
            return code
        except BrokenPipeError:
            _discard()
            return UNREAD
        except OSError as error:
            _discard()
            return _complain(f"cannot write to the standard output: {error.strerror or error}", WRONG)


def _main(words: Sequence[str]) -> int:
    try:
        made = parser()
        known = {name: tuple(own._option_string_actions) for name, own in commands_of(made).items()}
        options = made.parse_args(spelled_out(words, known))
        if options.command is None:
            made.print_help()
            return OK
        with warnings.catch_warnings():
            for kind in SPOKEN:  # a line each, whatever python -W says
                warnings.simplefilter("always", kind)
            warnings.simplefilter("error", Interrupted)  # Ctrl-C ends the command, not only the fit at hand
            warnings.showwarning = _warn  # type: ignore[assignment]
            return _run(options)
    except (KeyboardInterrupt, Interrupted) as stop:
        _, goes_on, there = str(stop).partition("; the same fit goes on from ")
        goes_on = f"; the same command goes on from {there}" if goes_on else ""
        return _complain(f"stopped by Ctrl-C{goes_on}", STOPPED)
    except PplGenError as error:
        code = (
            MISTAKE if isinstance(error, ValueError) else WRONG
        )  # what was asked was wrong, or it went wrong
        if isinstance(error, OutOfStep) or ranks.main():
            return _complain(str(error), code)
        time.sleep(1)  # when one process ends, torchrun ends the others: let the first speak
        return code
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is None:  # files' errors name them
            raise
        reason = f"cannot write to {error.filename}: {error.strerror or error}"
        return _complain(reason, WRONG if error.errno in FULL else MISTAKE)


def _run(options: argparse.Namespace) -> int:
    if not (options.command == "fit" or ranks.main()):
        return OK
    terminal = Terminal(quiet=options.json)
    if options.command == "fit":
        document = COMMANDS["fit"].run(options, terminal)
    else:
        with ranks.alone():
            document = COMMANDS[options.command].run(options, terminal)
    if options.json and ranks.main():
        print(json.dumps(document, indent=2, ensure_ascii=not terminal.unicode, allow_nan=False))
    return OK


def _complain(words: str, code: int) -> int:
    with suppress(OSError, ValueError):
        print(f"ppl-gen: {in_options(words)}", file=sys.stderr)
    return code


def _warn(message: Warning | str, *_: object) -> None:
    _complain(f"warning: {message}", OK)


def _discard() -> None:
    """Let what is left to write go nowhere, so that Python does not try again when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
