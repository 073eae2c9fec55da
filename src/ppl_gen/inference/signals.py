"""Ctrl-C and SIGTERM wait for the end of a step, so that what a fit leaves behind is whole."""

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Self, TypeVar

from ppl_gen import ranks

T = TypeVar("T")


class Signals:
    """While it is entered, the first Ctrl-C only sets ``pressed``; a second one interrupts at once.

    With ``save`` SIGTERM is put off likewise; `obey` then calls it and exits with code 143. Handlers are set
    in the main thread alone, where Python's own stand (a SIGTERM handler of the program's is called after
    ours), and are as before afterwards; in several processes only if they are ``shared``, since they would
    stop at different steps, and wait for one another for ever.

    Args:
        title: who is stopped, for the message.
        save: called before the process exits; its text tells what was saved where.
        shared: whether several processes tell one another what came, and obey together.
    """

    def __init__(self, title: str, save: Callable[[], str] | None = None, shared: bool = False):
        self.title, self.save, self.shared = title, save, shared
        self.pressed = self.terminated = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        together = self.shared or ranks.count() == 1
        if together and threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._set(signal.SIGINT, self._press)
            if self.save and signal.getsignal(signal.SIGTERM) not in (None, signal.SIG_IGN):
                self._set(signal.SIGTERM, self._terminate)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def until_pressed(self, work: Iterable[T]) -> Iterator[T]:
        """The work, at least its first item, and no more after Ctrl-C."""
        for item in work:
            yield item
            if self.pressed:
                return

    def obey(self, pressed: bool | None = None, terminated: bool | None = None) -> None:
        """Between two steps: do what was asked for here, or what all processes agreed on.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
            SystemExit: SIGTERM came; the state is saved.
        """
        if (self.terminated if terminated is None else terminated) and self.save:
            said = f"{self.title} stopped by SIGTERM; {self.save()}"
            if ranks.main():
                print(said, file=sys.stderr, flush=True)
            theirs = self._before.get(signal.SIGTERM)
            if not callable(theirs):
                raise SystemExit(128 + signal.SIGTERM)
            self.terminated = False
            theirs(signal.SIGTERM, None)
        if self.pressed if pressed is None else pressed:
            raise KeyboardInterrupt

    def _set(self, number: signal.Signals, handler: Callable[..., None]) -> None:
        with suppress(ValueError):  # Python runs inside another program, which keeps its signals
            self._before[number] = signal.signal(number, handler)

    def _press(self, *_: Any) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True

    def _terminate(self, *_: Any) -> None:
        if self.terminated and not callable(self._before[signal.SIGTERM]):
            raise SystemExit(128 + signal.SIGTERM)
        self.terminated = True


def users_line() -> int:
    """The ``stacklevel`` that makes a warning, given where this is called, point at the user's own line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] == "ppl_gen":
        level, frame = level + 1, frame.f_back
    return level
