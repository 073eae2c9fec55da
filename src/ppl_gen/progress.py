"""Progress bars: for people at a terminal or in a notebook, silent elsewhere."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from ppl_gen import ranks

T = TypeVar("T")


def track(
    work: Iterable[T],
    title: str,
    show: bool | None = None,
    figures: Callable[[], dict[str, float]] = dict,
) -> Iterator[T]:
    """Iterate over ``work`` behind a progress bar with live ``figures``.

    ``show`` None decides by itself: a bar on terminals and in notebooks, nothing elsewhere. Of several
    processes the first alone shows one.
    """
    if show is None:
        show = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not (show and ranks.main()):
        yield from work
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    total = len(work) if isinstance(work, Sized) else None
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=5, transient=True) as bar:
        task = bar.add_task(title, total=total, figures="")
        for count, item in enumerate(work):
            yield item
            if count % 10 == 0:
                text = "  ".join(f"{name} {value:,.2f}" for name, value in figures().items())
                bar.update(task, completed=count + 1, figures=text)
