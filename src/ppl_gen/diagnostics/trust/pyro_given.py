"""What of a bare program's arguments its rows are given: the inputs that residuals are held against."""

from typing import Any, NamedTuple

import numpy as np
import torch

from ppl_gen.diagnostics.trees.pyro_scores import is_data
from ppl_gen.diagnostics.trust.along import MOST, Array
from ppl_gen.diagnostics.trust.pyro_rerun import Place, arguments_of, equal, latents_of, numbers, rerun
from ppl_gen.inference import PyroFit
from ppl_gen.inference.elbo import Node
from ppl_gen.isolation import isolated


class _Moved(NamedTuple):
    """The observed sites whose data, and those the density of whose old data, an argument decides."""

    data: set[str]
    density: set[str]


def given_rows(found: PyroFit, seed: int) -> dict[str, dict[str, Array]]:
    """Observed variable -> the arguments with a value, or a row of values, for each of its rows, by name.

    An argument is data if other values change what the program observes, and an input if not; of a matrix
    each column. Its rows are exchanged for that, which leaves their mean and range as they were. Where data
    decide the density of data, as a total of counts does or a series its next value, there are no inputs:
    residuals need not be independent of them.
    """
    with isolated(seed):
        latents = latents_of(found)

    def run(place: Place | None = None, value: Any = None) -> dict[str, Node]:
        sites = rerun(found, latents, seed, place, value)
        return {n: site for n, site in sites.items() if is_data(site)}

    plain = run()
    rows = {name: len(site["value"]) for name, site in plain.items() if site["value"].dim()}

    def moved(place: Place, value: Any) -> _Moved | None:
        """None where the program refuses it."""
        try:
            after = run(place, value)
            return _Moved(
                {n for n, s in plain.items() if not equal(s["value"], after[n]["value"])},
                {n for n, s in plain.items() if not equal(_score(s, s), _score(after[n], s))},
            )
        except Exception:  # a program of somebody else's, on what it was not written for
            return None

    inputs, tangled = dict[str, Array](), set[str]()
    for name, (place, value) in arguments_of(found).items():
        if len(value) not in rows.values():
            continue
        order = np.random.default_rng(seed).permutation(len(value))
        whole = moved(place, value[order])
        if whole is None:
            continue
        if not whole.data:
            inputs[name] = numbers(value)
        elif value.ndim != 2 or value.shape[1] > MOST:
            tangled |= whole.data & whole.density
        elif whole.density or not all(equal(value, plain[n]["value"]) for n in whole.data):
            for i in range(value.shape[1]):
                other = value.clone() if isinstance(value, torch.Tensor) else value.copy()
                other[:, i] = value[order, i]
                column = moved(place, other)
                if column is not None and not column.data:
                    inputs[f"{name}[{i}]"] = numbers(value[:, i])
                elif column is not None:
                    tangled |= column.data & column.density
    return {
        site: {name: v for name, v in inputs.items() if len(v) == n}
        for site, n in rows.items()
        if site not in tangled
    }


def _score(site: Node, of: Node) -> torch.Tensor:
    log_p: torch.Tensor = site["fn"].log_prob(of["value"])
    return log_p
