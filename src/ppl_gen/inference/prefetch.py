"""Read ahead: a thread prepares the next batches while the step at hand runs."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any, TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], depth: int) -> Generator[T]:
    """The same ``items`` in the same order, up to ``depth`` of them prepared in advance.

    An error of the reader is raised here, when its item is due. Closing the iterator, or an error at the
    place that uses it, ends the thread.

    >>> list(ahead(iter("abc"), depth=2))
    ['a', 'b', 'c']
    """
    if not depth:
        yield from items
        return
    ready: Queue[tuple[bool, Any]] = Queue(depth)
    stop = Event()

    def read() -> None:
        try:
            for item in items:
                ready.put((True, item))
                if stop.is_set():
                    return
            ready.put((False, None))
        except BaseException as error:  # whatever it is, it is for the one who waits
            ready.put((False, error))

    reader = Thread(target=read, name="ppl-gen reads ahead", daemon=True)
    reader.start()
    try:
        while True:
            good, item = ready.get()
            if good:
                yield item
            elif item is None:
                return
            else:
                raise item
    finally:
        stop.set()
        with suppress(Empty):
            while True:  # it may wait for a free place
                ready.get_nowait()
        reader.join()
