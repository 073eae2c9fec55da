"""The story: five chapters and a colophon, told on a terminal and written into a folder."""

import platform
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from ppl_gen.article import Report, Section, Table
from ppl_gen.files import replace_file
from ppl_gen.tour.guides import guides
from ppl_gen.tour.hidden import hidden
from ppl_gen.tour.images import images
from ppl_gen.tour.questions import questions
from ppl_gen.tour.twins import twins
from ppl_gen.tour.workshop import FULL, Budget, Workshop

if TYPE_CHECKING:
    from rich.console import Console


class Tour:
    """Five chapters and a colophon, told on ``console`` and written into the folder ``out``."""

    def __init__(self, out: Path, console: "Console", *, seed: int = 0, budget: Budget = FULL):
        self.console, self.workshop = console, Workshop(out, seed=seed, budget=budget)
        self.report = Report(
            title="One joint distribution, many questions",
            lead="A probabilistic model is one joint distribution, and everything anybody wants from it is "
            "a question asked of that joint. Here four models of real data, three generative and one "
            "discriminative, are fitted, asked and held against one another.",
            notice=""
            if budget == FULL
            else "A quick run: fits were stopped early, so the numbers show less than the models can do.",
            glance=self.workshop.glance,
        )

    def run(self) -> None:
        """Tell the chapters one by one, then write the page."""
        w, console = self.workshop, self.console
        console.print(self.report.title, style="bold", justify="center")
        console.print()
        console.print(self.report.lead)
        for chapter in (guides, twins, questions, hidden, images, colophon):
            self.report.add(chapter(w), console)
        w.files.append(("index.html", "the article"))
        replace_file(w.out / "index.html", self.report.html())
        _say_files(w, console)


def colophon(w: Workshop) -> Section:
    """How the numbers were obtained."""
    packages = ("torch", "pyro-ppl", "numpy", "scikit-learn", "arviz", "matplotlib")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    from ppl_gen import __version__

    seconds = perf_counter() - w.started
    flag = "" if w.budget == FULL else " --quick"
    return Section(
        "How these numbers were obtained",
        [
            f"Every number above was measured in one run of `ppl-gen tour{flag} --seed {w.seed}` of "
            f"{seconds:,.0f} seconds, on {_threads()}, by ppl-gen {__version__} "
            f"on Python {platform.python_version()} ({versions}). The data are those that scikit-learn "
            "ships; nothing was downloaded. The same seed and versions on the same machine give the "
            "same numbers, but for seconds.",
            Table(
                ("number", "value", "how"),
                w.numbers,
                "The main numbers and their origin; ± is a standard error or a 95 % interval.",
            ),
            Table(
                ("file", "what it is"),
                [(f"`{name}`", what) for name, what in w.files],
                fold="Files beside this page: posteriors for ArviZ (netCDF) and figures",
            ),
        ],
    )


def _say_files(w: Workshop, console: "Console") -> None:
    from rich import box
    from rich.table import Table as Grid

    grid = Grid(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    grid.add_column("file")
    grid.add_column("size", justify="right")
    for name, _ in w.files:
        size = (w.out / name).stat().st_size
        shown = f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
        grid.add_row(name, shown)
    console.print()
    console.rule(style="dim")
    console.print(f"Written to {w.out}:", soft_wrap=True)
    console.print(grid)
    seconds = perf_counter() - w.started
    read = f"Read [bold]{w.out / 'index.html'}[/]."
    console.print(f"{read} {seconds:,.1f} seconds.", soft_wrap=True)


def _threads() -> str:
    count = torch.get_num_threads()
    return f"{count} thread{'s' * (count > 1)}"
