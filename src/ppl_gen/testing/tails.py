"""The rule about the far ends of an unnormalised joint: it falls there, or has no constant."""

import itertools
import math

import pyro
import torch
from torch.distributions import constraints

from ppl_gen.testing.case import Case, log_density
from ppl_gen.testing.densities import point_mass

FAR = tuple(10.0**k for k in range(1, 10))


def falls(c: Case) -> None:
    """Along rays to infinity, the joint with its potentials falls faster than space grows.

    In polar coordinates the integral over D numbers is one of t^D p(t · direction) over log t: if that grows
    as far as one can see, the integral has no end.
    """
    looked_at = frozenset().union(*c.potentials.values())
    names = [name for name in c.joint if name in looked_at and _real(c, name)]
    if not names:
        return
    numbers = sum(c.drawn[name].numel() for name in names)
    generator = torch.Generator().manual_seed(0)
    for sign in (None, 1, -1):
        rays = {name: torch.randn(c.drawn[name].shape, generator=generator) for name in names}
        rays = {name: ray if sign is None else sign * ray.abs() for name, ray in rays.items()}
        seen = []
        for t in FAR:
            moved = {name: (t * ray).to(c.drawn[name]) for name, ray in rays.items()}
            with torch.no_grad(), pyro.validation_enabled(False):
                nodes = c.run("model", c.values, c.drawn | moved)
                parts = [log_density(s).double().sum() for s in nodes.values() if not point_mass(s["fn"])]
            seen.append(float(sum(parts)) + numbers * math.log(t))
        if all(before < after for before, after in itertools.pairwise(seen)):
            c.refuse(
                f"the joint with its potentials is not known to be normalisable: it does not fall as "
                f"{', '.join(names)} goes to infinity (log density {seen[0]:.3g} at distance {FAR[0]:g}, "
                f"{seen[-1]:.3g} at {FAR[-1]:g}, the growth of space with it)",
                "let the energy fall, as -x.square() does; or draw the variable from a density that falls "
                "faster than the energy rises",
                "model",
                min(c.potentials),
            )


def _real(c: Case, name: str) -> bool:
    """Whether the variable may be any real numbers."""
    support = c.sites[name]["fn"].support
    base = getattr(support, "base_constraint", support)
    return not point_mass(c.sites[name]["fn"]) and base in (constraints.real, constraints.real_vector)
