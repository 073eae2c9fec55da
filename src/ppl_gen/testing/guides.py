"""Rules about the guide: what it draws, where, and from what."""

from typing import Any

import pyro
import torch

from ppl_gen.core import is_local
from ppl_gen.inference.elbo import delta
from ppl_gen.normalisation.integrals import base_of
from ppl_gen.testing.case import Case, Nodes
from ppl_gen.testing.densities import described, is_fixed, point_mass
from ppl_gen.testing.dependencies import compare, compare_rows
from ppl_gen.testing.programs import check_names, check_shapes, check_weights


def latents(c: Case) -> None:
    """The guide draws the latents of its line, where the joint has them, and no others."""
    if not c.guided:
        return
    nodes = c.run("guide", c.values | c.drawn)
    for name in sorted(nodes.keys() & c.joint.keys() - c.q.keys()):
        c.refuse(
            f"guide() draws {name!r}, which the approximation line does not name: an observed variable, or a "
            f"forgotten factor",
            f"write q({name}) in the line, or do not draw {name!r}",
            "guide",
        )
    check_names(c, "guide", nodes, c.q)
    for name, site in nodes.items():
        if site["is_observed"] and not delta(site):
            c.refuse(f"guide() observes {name!r}: data are inside it", "leave out obs=", "guide", name)
    for name in c.q:
        inside, should = is_local(nodes[name]), is_local(c.sites[name])
        if inside != should:
            c.refuse(
                f'guide() draws {name!r} {"inside" if inside else "outside"} the plate "data", model() '
                f"draws it {'inside' if should else 'outside'}",
                "use the same plates in model() and guide()",
                "guide",
                name,
            )
    check_shapes(c, "guide", nodes)
    check_weights(c, "guide", nodes)
    for name in c.q:
        if nodes[name]["value"].shape != c.drawn[name].shape:
            c.refuse(
                f"{name!r} has shape {tuple(nodes[name]['value'].shape)} in guide() and "
                f"{tuple(c.drawn[name].shape)} in model()",
                "give both the same shape",
                "guide",
                name,
            )
    c.latents = {name: nodes[name]["value"].detach() for name in c.q}
    _supports(c, nodes)


def _supports(c: Case, nodes: Nodes) -> None:
    """The guide's support is the prior's: a wider one makes the ELBO minus infinity, a narrower one loose.

    A narrower one is a legal bound, and is refused all the same: no fit can bring such a guide to the
    posterior, which is positive wherever prior and likelihood are, and no diagnostic of the fit says so.
    Counts may be cut off (a Binomial for a Poisson), as is customary.
    """
    for name in c.q:
        q, p, value = nodes[name]["fn"], c.sites[name]["fn"], nodes[name]["value"].detach()
        if point_mass(p):
            continue
        if point_mass(q) and not p.support.is_discrete:
            c.refuse(
                f"KL-breaking guide site {name!r}: a Delta has no density against the continuous prior "
                f"{type(base_of(p)).__name__}, so the KL divergence is infinite",
                "give the guide a density with a width, such as a Normal",
                "guide",
                name,
            )
        if q.support.is_discrete != p.support.is_discrete:
            kinds = ["continuous", "discrete"]
            c.refuse(
                f"KL-breaking guide site {name!r}: {kinds[q.support.is_discrete]} in guide(), "
                f"{kinds[p.support.is_discrete]} in model(); the supports do not meet",
                "take a guide on the prior's support",
                "guide",
                name,
            )
        for number in (-1000.0, -10.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 10.0, 1000.0):
            probe = torch.full_like(value, number)
            inside_q, inside_p = (torch.as_tensor(s.support.check(probe)) for s in (q, p))
            if bool(inside_q.any()) and not bool((inside_p.all() | ~inside_q).all()):
                c.refuse(
                    f"KL-breaking guide site {name!r}: the support of {type(base_of(q)).__name__} in guide() "
                    f"({described(q.support)}) is wider than that of the prior {type(base_of(p)).__name__} "
                    f"({described(p.support)}); it can draw {number:g}, and the ELBO is minus infinity there",
                    "take a guide on the prior's support: Gamma or LogNormal for positive numbers",
                    "guide",
                    name,
                )
        if not p.support.is_discrete and (left_out := _left_out(p, q)) is not None:
            c.refuse(
                f"the support of {type(base_of(q)).__name__} in guide() ({described(q.support)}) is narrower "
                f"than that of the prior {type(base_of(p)).__name__} ({described(p.support)}): {name!r} can "
                f"be {left_out:.3g}, which the guide never draws. The bound holds, but the guide can never "
                f"reach the posterior",
                "take a guide on the prior's support: Normal for real numbers",
                "guide",
                name,
            )


@torch.no_grad()
def _left_out(p: Any, q: Any) -> float | None:
    """A number that the prior draws, and that lies outside the guide's support."""
    value = p.sample((256,))
    try:
        missed = torch.as_tensor(p.support.check(value)) & ~torch.as_tensor(q.support.check(value))
    except (RuntimeError, NotImplementedError):
        return None  # supports of other shapes: the rule about shapes has spoken
    cells = value.reshape(*missed.shape, -1)[missed]
    # continuous draws are whole numbers only where they were rounded to an edge of the support
    cells = cells[(cells != cells.round()).all(-1)]
    return float(cells[0, 0]) if len(cells) else None


def factors(c: Case) -> None:
    """Each factor of the guide depends on what stands right of its bar; its rows stand apart as well."""
    if not c.guided:
        return
    values = c.values | c.drawn
    compare(c, "guide", c.q, values, [c.run("guide", values, seed=s) for s in range(4)])
    compare_rows(c, "guide", c.q, values, c.latents, c.run("guide", values))


def gaps(c: Case) -> None:
    """A guide that says it reads gaps takes a row with a missing cell (NaN), and draws numbers."""
    if not (c.guided and c.p.reads_gaps):
        return
    values = c.values | c.drawn
    for name in sorted(c.q.given):
        value = values[name]
        if value.dim() < 2 or not value.is_floating_point():
            continue
        gap = value.clone()
        gap[0, 0] = torch.nan
        with pyro.validation_enabled(False):
            nodes = c.run("guide", values | {name: gap})
        for latent, site in nodes.items():
            if not bool(torch.isfinite(site["value"]).all()):
                c.refuse(
                    f"guide() draws {latent!r} as NaN where a cell of {name!r} is missing, and reads_gaps "
                    f"says that it takes such rows",
                    f"fill the cell in before the network sees it, or leave reads_gaps = False: missing "
                    f"cells of {name!r} then come as a legal value",
                    "guide",
                    latent,
                )


def explained(c: Case) -> None:
    """Every latent is guided, given as data, or finite enough to be summed out."""
    for name in hidden_variables(c):
        site = c.sites[name]
        if not (site["fn"].has_enumerate_support or is_fixed(site)):
            c.refuse(
                f"{name!r} is unexplained: a latent that is neither sampled by the guide nor finite enough "
                f"to be summed out",
                f"give the guide a factor q({name}); if {name!r} is data: check_model(model, {name}=…)",
                "model",
                name,
            )


def hidden_variables(c: Case) -> list[str]:
    """The variables that fit would have to sum out: nobody draws them, and others depend on them."""
    if not c.guided:
        return []
    parents = frozenset().union(*c.joint.values())
    hidden = [name for name in c.joint if name in parents or not is_local(c.sites[name])]
    return [name for name in hidden if not (name in c.q or name in c.q.given or name in c.data)]
