"""Checks of gradients: the ELBO's reaches every parameter, through every latent."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ppl_gen.linting.findings import Finding
from ppl_gen.linting.pair import Pair
from ppl_gen.linting.recording import Site
from ppl_gen.linting.supports import outside
from ppl_gen.normalisation.integrals import base_of

LATENTS = 12  # that are moved, one by one, to see what follows them


def idle(pair: Pair) -> Iterator[Finding]:
    """The ELBO depends on every parameter."""
    if not pair.works or any(s.given for _, run in pair.runs for s in run.params.values()):
        return
    if any(outside(pair)):
        return  # a density of nothing has no gradient
    parameters = {n: w for n, w in pair.parameters().items() if w.requires_grad}
    if any(not s.grad for _, run in pair.runs for s in run.statements):
        return
    reached = {id(leaf) for leaf in leaves(pair)}
    params = {**pair.p.params, **pair.q.params}
    modules: dict[str, list[str]] = {}
    for name, w in parameters.items():
        if id(w) not in reached:
            modules.setdefault(name.partition("$$$")[0] if "$$$" in name else name, []).append(name)
    for shown, names in modules.items():
        yield Finding(
            "idle-parameter",
            f"no gradient reaches {', '.join(map(repr, names[:3]))}{', …' * (len(names) > 3)}: "
            "training leaves "
            f"it as it is",
            "use it without .detach(), .data, .item(), .numpy() or torch.tensor(…); or remove it",
            shown,
            params[names[0]].place,
        )


def no_gradients(pair: Pair) -> Iterator[Finding]:
    """Autograd records while the programs run."""
    fix = "leave out torch.no_grad() and torch.inference_mode() around the programs and around svi.step"
    if not pair.recording:
        yield Finding(
            "no-grad", "gradients are switched off here: a fit in this place trains nothing, silently", fix
        )
    for part, run in pair.runs:
        for site in run.statements:
            if not site.grad and site.kind == "sample" and not site.deterministic:
                yield Finding(
                    "no-grad",
                    f"the {part} draws {site.name!r} with gradients switched off: nothing above it is "
                    "trained",
                    fix,
                    site.name,
                    site.place,
                )
                break


def cut(pair: Pair) -> Iterator[Finding]:
    """The gradient passes through each continuous latent to what depends on it."""
    if not pair.works:
        return
    for name, site in list(pair.latents.items())[:LATENTS]:
        drawn = site if pair.guide is None else pair.q.samples.get(name)  # some guide will have to draw it
        if drawn is None or site.discrete or not drawn.fn.has_rsample or not isinstance(drawn.value, Tensor):
            continue
        found = _cut(pair, name, drawn.value.detach())
        if found is not None:
            yield Finding(
                "cut-gradient",
                f"{found.name!r} depends on {name!r}, and no gradient passes from it: a guide's {name!r} "
                f"is not trained to fit it",
                "use the latent as a tensor, without .detach(), .item(), .numpy(), int(), round() or a "
                "comparison; if it must be cut into steps, draw a discrete latent",
                name,
                found.place,
            )


def _cut(pair: Pair, name: str, value: Tensor) -> Site | None:
    """A site whose density moves with ``name``, while its gradient is none or zero wherever it is tried."""
    size = 1 + value.abs().mean()
    suspects: dict[str, Site] = {}
    scores: dict[str, list[Tensor]] = {}
    for i, step in enumerate((0.0, 0.9, -0.4, -0.9)):
        leaf = (value + step * size).requires_grad_()
        run = pair.run("model", {**pair.p.values, name: leaf})
        for other, site in run.samples.items():
            if other == name or site.log_prob is None or run.error is not None:
                continue
            score = site.log_prob.sum()
            scores.setdefault(other, []).append(score.detach())
            gradient = None
            if score.requires_grad:
                (gradient,) = torch.autograd.grad(score, [leaf], allow_unused=True, retain_graph=True)
            if i == 0:
                suspects[other] = site
            if gradient is not None and bool((gradient != 0).any()):
                suspects.pop(other, None)
    for other, site in suspects.items():
        finite = torch.stack([s for s in scores[other] if bool(torch.isfinite(s))] or [torch.zeros(())])
        if bool((finite - finite[0]).abs().max() > 1e-4 * (1 + finite.abs().max())):
            return site
    return None


def score_function(pair: Pair) -> Iterator[Finding]:
    """What the guide draws is reparameterised, or summed out."""
    for name, site in pair.q.samples.items():
        if site.observed or site.deterministic or site.enumerated or site.delta or name not in pair.p.samples:
            continue
        if site.fn.has_rsample:
            continue
        if site.discrete and site.fn.has_enumerate_support:
            fix = 'sum it out: infer={"enumerate": "parallel"} at its pyro.sample, and TraceEnum_ELBO()'
        else:
            fix = "take a family with rsample (has_rsample), or give it a baseline and use TraceGraph_ELBO()"
        yield Finding(
            "score-function",
            f"the guide draws {name!r} from {type(base_of(site.fn)).__name__}, which cannot be "
            "reparameterised: "
            f"its gradient is estimated by the score function, with a large variance",
            fix,
            name,
            site.place,
            "warning",
        )


def leaves(pair: Pair) -> list[Tensor]:
    """The tensors from which the densities of both programs are computed, and which could be trained."""
    scores = [
        s.log_prob
        for _, run in pair.runs
        for s in run.samples.values()
        if s.log_prob is not None and s.log_prob.requires_grad
    ]
    found: dict[int, Tensor] = {}
    seen: set[Any] = set()
    stack = [score.grad_fn for score in scores]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor):
            found[id(variable)] = variable
        stack.extend(next_node for next_node, _ in node.next_functions)
    return list(found.values())


CHECKS = (idle, no_gradients, cut, score_function)
