"""What values a distribution can have, and how to say it."""

import math
from typing import Any

import pyro
import torch
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.linting.recording import Site
from ppl_gen.normalisation.integrals import base_of

DRAWS = 200


def inside(fn: Any, value: Any) -> Tensor | None:
    """Which values are in the support, or None if the distribution does not say."""
    try:
        return torch.as_tensor(fn.support.check(value))
    except Exception:
        return None


def wider(q: Any, p: Any) -> bool:
    """Whether the values of q reach beyond those of p, if both are intervals."""
    inner, outer = _ends(p), _ends(q)
    return inner is not None and outer is not None and (outer[0] < inner[0] or outer[1] > inner[1])


def _ends(fn: Any) -> tuple[float, float] | None:
    """The interval that a continuous distribution lives on."""
    try:
        base: Any = fn.support
    except NotImplementedError:
        return None
    while hasattr(base, "base_constraint"):
        base = base.base_constraint
    if base.is_discrete:
        return None
    if base is constraints.real:
        return -math.inf, math.inf
    low, high = getattr(base, "lower_bound", None), getattr(base, "upper_bound", None)
    if low is None and high is None:
        return None
    ends = (-math.inf if low is None else low, math.inf if high is None else high)
    lowest, highest = (torch.as_tensor(end).detach().double() for end in ends)
    return float(lowest.min()), float(highest.max())


def draws_of(site: Site) -> Any:
    """Many draws of a site's distribution; its one value if it has no sampler."""
    try:
        with torch.no_grad(), pyro.validation_enabled(False):
            return site.fn.sample((DRAWS,))
    except Exception:
        return site.value


def kind_of(site: Site) -> str:
    """The name of a site's distribution."""
    return type(base_of(site.fn)).__name__


def support(fn: Any) -> str:
    """The support, in words."""
    base = fn.support
    while hasattr(base, "base_constraint"):
        base = base.base_constraint
    if hasattr(base, "lower_bound") and hasattr(base, "upper_bound"):
        low, high = (float(torch.as_tensor(b).double().mean()) for b in (base.lower_bound, base.upper_bound))
        return f"{'whole ' * base.is_discrete}numbers from {low:g} to {high:g}"
    words = {"boolean": "0 and 1", "real": "real numbers", "nonnegativeinteger": "whole numbers from 0 up"}
    text = str(base).strip("_()").lower().replace("_", "")
    if text.startswith("greaterthan"):
        return "positive numbers" if float(torch.as_tensor(base.lower_bound).max()) == 0 else str(base)
    return words.get(text, str(base).strip("()"))


def on_support(fn: Any) -> str:
    """A guide with the same support, in words."""
    text = str(fn.support).lower()
    for word, guide in (
        ("simplex", "dist.Dirichlet"),
        ("greaterthan", "dist.LogNormal or dist.Gamma"),
        ("positive", "dist.LogNormal or dist.Gamma"),
        ("interval", "dist.Beta, or dist.TransformedDistribution of a Normal"),
        ("real", "dist.Normal, or StudentT for heavy tails"),
    ):
        if word in text:
            return f"{guide}; AutoNormal(model) does it by itself"
    return "the model's own family; AutoNormal(model) does it by itself"
