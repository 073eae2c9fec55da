"""Checks of values: those of the data and of the guide's draws lie where the model can score them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen.linting.findings import Finding
from ppl_gen.linting.pair import Pair
from ppl_gen.linting.ranges import draws_of, inside, kind_of, on_support, support, wider
from ppl_gen.linting.recording import Site
from ppl_gen.normalisation.integrals import base_of


def outside(pair: Pair) -> Iterator[Finding]:
    """Observed values lie in the support of their distribution."""
    for name, site in pair.p.samples.items():
        if not site.observed or site.deterministic or not isinstance(site.value, Tensor):
            continue
        good = inside(site.fn, site.value)
        if good is None or bool(good.all()) or bool(torch.isnan(site.value.float()).any()):
            continue
        kind = type(base_of(site.fn)).__name__
        silent = site.fn._validate_args is False or base_of(site.fn)._validate_args is False
        yield Finding(
            "outside-support",
            f"{name!r} observes {_example(site, good)}, which is no value of {kind} ({support(site.fn)})"
            + (": validate_args=False hides it, and the density sums to something else than one" * silent),
            _likelihood(kind),
            name,
            site.place,
        )


def guide_outside(pair: Pair) -> Iterator[Finding]:
    """The guide draws no value that the model cannot score."""
    for name, site in pair.latents.items():
        drawn = pair.q.samples.get(name)
        if drawn is None or drawn.infer.get("_deterministic"):
            continue
        good = inside(site.fn, draws_of(drawn))
        if (good is not None and not bool(good.all())) or (not drawn.delta and wider(drawn.fn, site.fn)):
            yield Finding(
                "support",
                f"the guide draws {name!r} from {kind_of(drawn)}, which leaves the support of the model's "
                f"{kind_of(site)} ({support(site.fn)}): there log p is -inf or nan",
                f"take a guide on the same support: {on_support(site.fn)}",
                name,
                drawn.place,
            )


def guide_narrow(pair: Pair) -> Iterator[Finding]:
    """The guide can reach where the model has its mass."""
    for name, site in pair.latents.items():
        drawn = pair.q.samples.get(name)
        if drawn is None or drawn.delta or drawn.deterministic or pair.automatic:
            continue
        good = inside(drawn.fn, draws_of(site))
        share = 0.0 if good is None else float((~good).double().mean())
        if share > 0.05 and not (drawn.discrete or site.discrete):
            yield Finding(
                "support-narrow",
                f"the guide draws {name!r} from {kind_of(drawn)} on {support(drawn.fn)}, and "
                f"{share:.0%} of the "
                f"prior's draws lie outside: it can never find them",
                f"take a guide on the whole support: {on_support(site.fn)}; or a prior on the guide's",
                name,
                drawn.place,
                "warning",
            )


def not_finite_data(pair: Pair) -> Iterator[Finding]:
    """The data are finite numbers."""
    if pair.declared:
        return
    observed = {
        name: s
        for name, s in pair.p.samples.items()
        if s.observed and not s.deterministic and "NanMasked" not in kind_of(s)
    }
    told = False
    for name, site in observed.items():
        bad = (
            ~torch.isfinite(torch.as_tensor(site.value).double()) if _numeric(site.value) else torch.zeros(1)
        )
        if bool(bad.any()):
            told = True
            masked = site.mask is not None and site.mask is not True
            yield Finding(
                "data-not-finite",
                f"{name!r} observes {int(bad.sum())} values that are nan or inf"
                + ("; a mask hides their density, and their gradient is nan all the same" * masked),
                "fill them before they are masked: torch.where(seen, y, 0.), with "
                "poutine.mask(mask=seen); or "
                "drop those rows",
                name,
                site.place,
            )
    if told or any("NanMasked" in kind_of(s) for s in pair.p.samples.values()):
        return
    for argument, value in pair.tensors.items():
        if _numeric(value) and not bool(torch.isfinite(torch.as_tensor(value).double()).all()):
            yield Finding(
                "data-not-finite",
                f"the argument {argument!r} holds nan or inf: one such cell ruins every parameter at "
                "the first "
                f"step",
                f"drop those rows, or fill them in: torch.nan_to_num({argument}), with a mask of what "
                "was seen",
                argument,
            )


def no_tensor(pair: Pair) -> Iterator[Finding]:
    """What is observed is a tensor."""
    for name, site in pair.p.samples.items():
        if site.observed and not site.deterministic and not isinstance(site.value, Tensor):
            yield Finding(
                "not-a-tensor",
                f"{name!r} observes a {type(site.value).__module__}.{type(site.value).__name__}, not "
                "a tensor",
                "convert the data once, before the fit: torch.as_tensor(y, dtype=torch.get_default_dtype())",
                name,
                site.place,
            )


def mixed_types(pair: Pair) -> Iterator[Finding]:
    """One floating-point type throughout."""
    for part, run in pair.runs:
        for name, site in run.samples.items():
            if site.deterministic or not isinstance(site.value, Tensor) or not site.value.is_floating_point():
                continue
            types = {v.dtype for v in _arguments(site.fn).values() if v.is_floating_point() and v.dim()}
            if types and site.value.dtype not in types and not site.discrete:
                theirs = str(types.pop()).removeprefix("torch.")
                yield Finding(
                    "mixed-types",
                    f"{name!r} in the {part} has values of "
                    f"{str(site.value.dtype).removeprefix('torch.')} under "
                    f"a distribution of {theirs}",
                    "convert the data once, y = y.float(); or compute in double: "
                    "torch.set_default_dtype(torch.float64) before anything is made",
                    name,
                    site.place,
                    "warning",
                )


def not_finite_density(pair: Pair) -> Iterator[Finding]:
    """Densities are finite at the start."""
    for part, run in pair.runs:
        for name, site in run.samples.items():
            score = site.log_prob
            if score is None or site.deterministic or bool(torch.isfinite(score).all()):
                continue
            good = inside(site.fn, site.value) if isinstance(site.value, Tensor) else None
            if good is not None and not bool(good.all()):
                continue  # told by the support
            if isinstance(site.value, Tensor) and not bool(torch.isfinite(site.value.double()).all()):
                continue
            yield Finding(
                "density-not-finite",
                f"the log density of {name!r} in the {part} is "
                f"{float(score[~torch.isfinite(score)][0])} at the "
                f"start",
                "start the parameters at numbers of ordinary size, and pass logits= instead of probs=",
                name,
                site.place,
            )


def _example(site: Site, good: Tensor) -> str:
    if good.shape == site.value.shape:
        return f"{site.value[~good].flatten()[0].item():g}"
    cells = inside(base_of(site.fn), site.value)
    if cells is not None and cells.shape == site.value.shape and not bool(cells.all()):
        return f"{site.value[~cells].flatten()[0].item():g}"
    return "a value"


def _likelihood(kind: str) -> str:
    if "Bernoulli" in kind:
        return (
            "binarise the data, (x > 0.5).float(), or take a density of what they are: dist.Normal, "
            "dist.ContinuousBernoulli, dist.Binomial(levels, …) of whole grey levels"
        )
    if "Categorical" in kind:
        return "code the classes 0, 1, …, K - 1, and give the distribution as many probabilities as classes"
    return "transform the data into the support, or take a distribution whose support holds them"


def _numeric(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(np.issubdtype(value.dtype, np.number))
    return isinstance(value, Tensor | int | float)


def _arguments(fn: Any) -> dict[str, Tensor]:
    """The tensors that a distribution was given."""
    base = base_of(fn)
    found = {name: base.__dict__.get(name) for name in getattr(base, "arg_constraints", {})}
    return {name: v for name, v in found.items() if isinstance(v, Tensor)}


CHECKS = (
    not_finite_data,
    no_tensor,
    outside,
    guide_outside,
    guide_narrow,
    mixed_types,
    not_finite_density,
)
