"""Run cells as a notebook would, in a process of its own, and keep what each of them shows.

There is no kernel. A client that answers a widget on the socket on which it waits for the reply to a cell may
wait for ever (jupyter/nbclient, issue 312). Here IPython runs in the process itself, and the outputs of each
cell come back through one pipe: a process that dies, or stands, is noticed, and its cell named.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

LIMIT = 600.0  # seconds that a cell may take


def run(
    sources: Sequence[str], folder: Path, limit: float = LIMIT
) -> list[list[dict[str, Any]]]:
    """Run cells in a folder, one after the other; returns the outputs of each, as a notebook has them.

    Raises:
        RuntimeError: a cell failed, took longer than ``limit`` seconds, or ended the process; it is quoted.
    """
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(
        target=_serve, args=(theirs, list(sources), str(folder)), daemon=True
    )
    process.start()
    theirs.close()  # so that the end of the process is the end of the pipe
    found = []
    try:
        for number, source in enumerate(
            ["", *sources]
        ):  # the empty cell waits for the start
            if sys.stderr.isatty():
                print(
                    f"\r{number} of {len(sources)} ", end="", file=sys.stderr, flush=True
                )
            problem = f"took more than {limit:g} seconds"
            if ours.poll(limit if number else LIMIT):
                try:
                    outputs, problem = ours.recv()
                except EOFError:
                    process.join()
                    outputs, problem = (
                        [],
                        f"ended the process, with exit code {process.exitcode}",
                    )
            if problem:
                raise RuntimeError(f"cell {number} {problem}\nThe cell:\n{source}")
            found.append(outputs)
        process.join(60.0)  # it clears up after itself
    finally:
        process.kill()
        process.join()
    return found[1:]


def _serve(pipe: Connection, sources: list[str], folder: str) -> None:
    os.chdir(folder)
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    shell = _shell()
    for source in ["", *sources]:
        shell.outputs, shell.failure = [], None
        with redirect_stdout(shell):
            shell.run_cell(source, store_history=True)
        failure = shell.failure
        words = (
            ""
            if failure is None
            else "failed:\n" + "".join(traceback.format_exception(failure))
        )
        pipe.send((shell.outputs, words))
        if words:
            return


def _shell() -> Any:
    """An IPython that keeps outputs, what is printed, and the last failure."""
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell

    class Hook(DisplayHook):
        """For the value of a cell's last expression."""

        def write_output_prompt(self) -> None:
            pass

        def write_format_data(self, data: Any, metadata: Any = None) -> None:
            kind = {"output_type": "execute_result", "execution_count": None}
            self.shell.outputs.append(kind | {"data": data, "metadata": metadata or {}})

        def finish_displayhook(self) -> None:
            self._is_active = False

    class Publisher(DisplayPublisher):
        """For what is displayed, figures above all."""

        def publish(self, data: Any, metadata: Any = None, **_: Any) -> None:
            kind = {"output_type": "display_data"}
            self.shell.outputs.append(kind | {"data": data, "metadata": metadata or {}})

        def clear_output(self, wait: bool = False) -> None:
            pass

    class Shell(InteractiveShell):
        displayhook_class = Hook
        display_pub_class = Publisher

        def write(self, text: str) -> int:
            if not self.outputs or self.outputs[-1]["output_type"] != "stream":
                self.outputs.append(
                    {"output_type": "stream", "name": "stdout", "text": ""}
                )
            self.outputs[-1]["text"] += text
            return len(text)

        def flush(self) -> None:
            pass

        def _showtraceback(self, kind: Any, failure: BaseException, lines: Any) -> None:
            self.failure = (
                failure  # of the cell itself, or of a function that a slider calls
            )

    HistoryManager.enabled = False  # nothing is written to the user's history
    shell = Shell.instance()
    _divert_widgets(shell)
    return shell


def _divert_widgets(shell: Any) -> None:
    """What is drawn inside a widget stays there, out of the page."""
    try:
        from ipywidgets import Output
    except ImportError:
        return
    kept: list[Any] = []

    def enter(widget: Any) -> None:
        kept.append(shell.outputs)
        shell.outputs = []

    def leave(widget: Any, kind: Any, failure: BaseException | None, trace: Any) -> None:
        shell.outputs = kept.pop()

    Output.__enter__, Output.__exit__ = enter, leave
