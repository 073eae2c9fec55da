"""Does `diagnose` name planted faults, and nothing else?

    python -m benchmarks.faults [--seeds 5] [--keep runs.jsonl] [--seconds 600]

Every planted fault once, and every sound fit for each seed. What was run stands in the file of --keep, one
line each, from which the same line goes on; when all are there, FAULTS.md is written.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch loads

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import machine
from ppl_gen import diagnose
from ppl_gen.diagnostics.trust.checks import FAULTS
from tests.planted_faults.base import Planted
from tests.planted_faults.catalogue import PLANTED, SOUND

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def examined(case: Planted, seed: int) -> dict[str, Any]:
    """The names that a diagnosis gives to one fit."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        posterior = case.make(seed)
        fitted = time.perf_counter()
        found = diagnose(posterior, draws=500, seed=seed, **case.options)
    seconds = fitted - start, time.perf_counter() - fitted
    return {
        "name": case.name,
        "seed": seed,
        "expected": case.expected,
        "found": list(found.faults),
        "fit": seconds[0],
        "diagnose": seconds[1],
        "verdict": found.verdict.partition(":")[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path, default=Path("faults.jsonl"))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new run begins after these")
    options = parser.parse_args()
    done = (
        [json.loads(line) for line in options.keep.read_text().splitlines()] if options.keep.exists() else []
    )
    known = {(run["name"], run["seed"]) for run in done}
    runs = [(case, 0) for case in PLANTED] + [(case, s) for s in range(options.seeds) for case in SOUND]
    start = time.perf_counter()
    for case, seed in runs:
        if (case.name, seed) in known:
            continue
        if time.perf_counter() - start > options.seconds:
            print(f"{len(done)} of {len(runs)} runs are done; the same line goes on.")
            return
        done.append(examined(case, seed))
        with options.keep.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
    Path(__file__).with_name("FAULTS.md").write_text(page(done, options.seeds))


def page(runs: list[dict[str, Any]], seeds: int) -> str:
    """The Markdown."""
    faults = [run for run in runs if run["expected"]]
    sound = [run for run in runs if not run["expected"]]
    first = sum(run["found"][:1] == [run["expected"]] for run in faults)
    named = sum(run["expected"] in run["found"] for run in faults)
    alarms = [run for run in sound if run["found"]]
    mark = {True: "✓", False: "✗"}
    lines = [
        "# Planted faults\n",
        "Written by `python -m benchmarks.faults`: the programs are those of tests/planted_faults.\n",
        machine(),
        f"- named first: {first} of {len(faults)} faults (target: 9 of 10) "
        f"{mark[first >= 0.9 * len(faults)]}; named at all: {named}",
        f"- false alarms: {len(alarms)} of {len(sound)} sound fits, {len(SOUND)} of them by {seeds} seeds "
        f"(target: 0) {mark[not alarms]}",
        f"- a diagnosis takes {sum(r['diagnose'] for r in runs) / len(runs):.1f} s on average\n",
        "| planted | is | named, the one to mend first standing first | |",
        "|---|---|---|---|",
    ]
    for run in faults:
        hit = mark[run["found"][:1] == [run["expected"]]]
        lines.append(
            f"| {run['name']} | {run['expected']} | {', '.join(run['found']) or 'nothing'} | {hit} |"
        )
    lines += ["\n| sound fit | seeds | named | verdict |", "|---|---|---|---|"]
    for case in SOUND:
        own = [run for run in sound if run["name"] == case.name]
        found = sorted({name for run in own for name in run["found"]})
        verdicts = ", ".join(sorted({run["verdict"] for run in own}))
        lines.append(f"| {case.name} | {len(own)} | {', '.join(found) or 'nothing'} | {verdicts} |")
    unseen = sorted(FAULTS.keys() - {run["expected"] for run in faults})
    lines.append(f"\nNames that no planted fault has: {', '.join(unseen) or 'none'}.\n")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
