"""`lint`: the mistakes that users of Pyro make, found before the fit."""

import warnings
from typing import Any

import pyro
import torch
from torch.distributions import Distribution

from ppl_gen.core import ProbabilisticModel
from ppl_gen.isolation import isolated
from ppl_gen.linting import (
    bounds,
    elbos,
    enumeration,
    gradients,
    minibatches,
    names,
    parameters,
    plates,
    priors,
    programs,
    scoring,
    shapes,
    supports,
)
from ppl_gen.linting.findings import SEVERITIES, Finding, Findings
from ppl_gen.linting.pair import Pair

GROUPS = (
    programs,
    names,
    shapes,
    plates,
    minibatches,
    supports,
    priors,
    enumeration,
    parameters,
    bounds,
    gradients,
    scoring,
    elbos,
)


def lint(model: Any, guide: Any = None, /, *args: Any, **kwargs: Any) -> Findings:
    """Find the mistakes of a model and its guide that a fit would hide, or stumble over.

    Both are run many times on the data and on changes of them; nothing is trained. Shapes, plates,
    minibatches, names, supports, priors, discrete latents, parameters, their ranges and their gradients are
    checked, and that the joint scores the data that come; if no error is found, Pyro's ELBO is computed
    once. Each finding says where, and what to write instead. Copies of modules are run, from fixed seeds;
    the parameter store and all else that is global stays as it is.

    Args:
        model: a bare Pyro program; a pyro.infer.SVI, whose ELBO is checked too (guide: None); or a
            `ProbabilisticModel`.
        guide: a program or an automatic guide. None checks the model alone; of a `ProbabilisticModel`, with
            its own guide.
        args, kwargs: the arguments of the fit, as for ``svi.step(*args, **kwargs)``; of a
            `ProbabilisticModel` the data by name, as for `fit`.

    Returns:
        The findings, errors first, notes last. They print; ``.ok`` says whether all are notes.

    Raises:
        DataError: ``model`` or ``guide`` is no program, or the data do not fit the declared joint.

    >>> import pyro.distributions as dist
    >>> def model(x, y):
    ...     w = pyro.sample("w", dist.Normal(0., 1.))
    ...     with pyro.plate("rows", len(x)):
    ...         pyro.sample("y", dist.Normal(w * x, 1.), obs=y)
    >>> def guide(x, y):
    ...     loc = pyro.param("loc", torch.tensor(0.))
    ...     scale = pyro.param("scale", torch.tensor(1.), constraint=dist.constraints.positive)
    ...     pyro.sample("w", dist.Normal(loc, scale))
    >>> x = torch.linspace(-1, 1, 20)
    >>> lint(model, guide, x, 2 * x)
    no mistake found (... checks)
    >>> lint(model, guide, x, 2 * x[:, None]).codes
    ['broadcast']
    """
    validated, recording = bool(Distribution._validate_args), torch.is_grad_enabled()
    store = pyro.get_param_store()
    state = {"params": dict(store.named_parameters()), "constraints": dict(store._constraints)}
    found: dict[tuple[str, str], Finding] = {}
    declared = isinstance(getattr(model, "model", model), ProbabilisticModel)
    local = declared or pyro.settings.get(
        "module_local_params"
    )  # else a guide that is a module meets pyro.param
    with isolated(0, grad=True, validate=True), pyro.settings.context(module_local_params=local):
        warnings.simplefilter("ignore")  # what Pyro and torch warn of is found here; `isolated` restores them
        pyro.get_param_store().set_state(state)
        pair = Pair(model, guide, args, kwargs, validated, recording)
        for group in GROUPS:
            if group is elbos and any(f.severity == "error" for f in found.values()):
                continue  # they would stop it, and are told
            misshapen: set[str] = set()  # one wrong shape of a site brings others with it
            for check in group.CHECKS:
                for finding in check(pair):
                    if group is shapes and finding.site in misshapen:
                        continue
                    misshapen.add(finding.site)
                    found.setdefault((finding.code, finding.site), finding)
    ordered = sorted(found.values(), key=lambda f: SEVERITIES.index(f.severity))
    return Findings(tuple(ordered), sum(len(group.CHECKS) for group in GROUPS))
