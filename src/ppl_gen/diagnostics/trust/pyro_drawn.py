"""Draws of what `fit_pyro` returned, with log p and log q in parts."""

import numpy as np
import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import biject_to

from ppl_gen.core import variables
from ppl_gen.diagnostics.trees.subsamples import whole_plates
from ppl_gen.diagnostics.trees.trees import to_arviz
from ppl_gen.diagnostics.trust.drawn import Drawn, is_positive
from ppl_gen.diagnostics.trust.pyro_rerun import latents_of
from ppl_gen.errors import DataError
from ppl_gen.inference import PyroFit
from ppl_gen.inference.elbo import Node, delta
from ppl_gen.isolation import isolated


def traces(found: PyroFit) -> tuple[dict[str, Node], dict[str, Node]]:
    """The sites of the model, on a draw of the guide and all rows, and those of the guide."""
    args, kwargs = found.arguments
    guided = latents_of(found)
    with whole_plates():
        replayed = poutine.trace(poutine.replay(found.model, trace=guided)).get_trace(*args, **kwargs)
    return variables(replayed), variables(guided)


def pyro_drawn(found: PyroFit, draws: int, seed: int) -> Drawn:
    """Draws of the guide with log p and log q in parts: those of `to_arviz`, finite sites summed out.

    Raises:
        DataError: as `to_arviz`, of programs that hold a part of their rows or observe nothing.
    """
    groups = ["posterior", "sample_stats", "log_prior", "observed_data"]
    tree = to_arviz(found, draws=draws, seed=seed, groups=groups)

    if "log_q" not in tree["sample_stats"]:
        raise DataError(
            f"posterior: {type(found.guide).__name__} is a point, without a spread to be judged. Take "
            f"AutoNormal(model) or AutoMultivariateNormal(model) to have one"
        )

    def numbers(group: str, name: str) -> Tensor:
        return torch.from_numpy(np.array(tree[f"{group}/{name}"])[0])

    log_p, log_q = (numbers("sample_stats", name)[:, None] for name in ("log_p", "log_q"))
    with isolated(seed):
        p, q = traces(found)
    names = [name for name in tree["log_prior"].data_vars if name in p and not delta(p[name])]
    log_prior = torch.stack([numbers("log_prior", n).reshape(draws, -1).sum(1) for n in names]).sum(0)[
        :, None
    ]
    latents = {n: numbers("posterior", n) for n in names if n in tree["posterior"].data_vars and n in q}
    free, jacobian = {}, {}
    for name, value in latents.items():
        support = p[name]["fn"].support
        if getattr(support, "is_discrete", True):
            continue
        try:
            to = biject_to(support)
            u = to.inv(value)
            log_det = to.log_abs_det_jacobian(u, value).reshape(draws, -1).sum(1)
        except (
            NotImplementedError,
            ValueError,
            RuntimeError,
        ):  # no such map is known, or a draw lies outside
            continue
        free[name] = u.reshape(draws, -1)
        if float(log_det.std()) > 0:
            jacobian[name] = log_det
    positive = tuple(n for n, v in latents.items() if is_positive(p[n]["fn"].support) and bool((v > 0).all()))
    return Drawn(log_prior, log_p - log_prior, log_q, latents, free, jacobian, {}, positive)
