"""Paired timing: two programs take turns, so that a busy machine is as unfair to one as to the other."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from math import comb
from pathlib import Path
from typing import Any, NamedTuple


class Comparison(NamedTuple):
    work: str
    ours: float  # seconds
    theirs: float
    ratio: float
    interval: tuple[float, float]
    target: float | None = None
    rows: int | None = None  # of the table, where cost is measured against them


def seconds(program: Callable[[], Any]) -> float:
    start = time.perf_counter()
    program()
    return time.perf_counter() - start


def compare(
    work: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    repeats: int = 9,
    target: float | None = None,
    rows: int | None = None,
) -> Comparison:
    """Time both ``repeats`` times in turns, after one run of each that is not counted."""
    ours(), theirs()
    pairs = []
    for turn in range(repeats):  # who goes first changes
        first, second = (ours, theirs) if turn % 2 else (theirs, ours)
        times = seconds(first), seconds(second)
        pairs.append(times if turn % 2 else times[::-1])
    ratios = sorted(a / b for a, b in pairs)
    low = rank(repeats)
    return Comparison(
        work,
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(ratios),
        (ratios[low], ratios[-1 - low]),
        target,
        rows,
    )


def rank(n: int, level: float = 0.95) -> int:
    """The largest k such that the k-th value from either end (from 0) holds the median between them."""
    outside, k = 2 * 0.5**n, 0
    while outside + 2 * comb(n, k + 1) * 0.5**n <= 1 - level:
        k += 1
        outside += 2 * comb(n, k) * 0.5**n
    return k


def table(rows: Iterable[Comparison], peer: str = "scikit-learn") -> str:
    lines = [f"| work | ours | {peer} | ratio | interval | target |", "|---|---|---|---|---|---|"]
    for row in rows:
        low, high = row.interval
        target = "" if row.target is None else f"≤ {row.target:.2f} {'✓' if row.ratio <= row.target else '✗'}"
        times = " | ".join(_time(value) for value in (row.ours, row.theirs))
        lines.append(f"| {row.work} | {times} | {row.ratio:.2f} | {low:.2f} – {high:.2f} | {target} |")
    return "\n".join(lines) + "\n"


def _time(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.3g} ms"


def machine() -> str:
    """The machine and the libraries, in words; no name of a host and no path."""
    info = Path("/proc/cpuinfo")
    names = info.read_text().splitlines() if info.exists() else []
    cpu = next((line.split(":")[1].strip() for line in names if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "pyro-ppl", "numpy", "scikit-learn")
    )
    return (
        f"One thread of {cpu or platform.processor() or platform.machine()} ({os.cpu_count()} cores, "
        f"{memory:.0f} GiB of memory), {platform.system()}; "
        f"Python {platform.python_version()}, {libraries}.\n"
    )


def figure(rows: Iterable[Comparison], path: Path, peer: str = "scikit-learn") -> None:
    """Seconds against rows of a table, both on logarithmic scales, one panel for each kind of work."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    kinds: dict[str, list[Comparison]] = {}
    for row in rows:
        kinds.setdefault(row.work.split(", ")[0].replace("\\|", "|"), []).append(row)
    drawn, axes = plt.subplots(1, len(kinds), figsize=(4.2 * len(kinds), 3.6), sharey=True, squeeze=False)
    for axis, (kind, points) in zip(axes[0], kinds.items(), strict=True):
        at = [point.rows for point in points]
        axis.loglog(at, [point.theirs for point in points], "s--", color="tab:gray", label=peer)
        axis.loglog(at, [point.ours for point in points], "o-", color="tab:blue", label="ppl-gen")
        axis.set(title=kind, xlabel="rows")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("seconds")
    axes[0][0].legend(frameon=False)
    drawn.tight_layout()
    drawn.savefig(path, dpi=120, metadata={"Software": ""})
    plt.close(drawn)
