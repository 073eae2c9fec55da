"""The contract that every model keeps, ours and a student's.

`check_model` runs the rules below in order, from root mistakes to their symptoms, and stops at the first
that is broken. What a rule needs (a joint draw, the guide's draw) the rules before it have shown to exist.
"""

from collections.abc import Callable
from typing import Any

import pyro

from ppl_gen.checks import called
from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import DataError
from ppl_gen.isolation import isolated
from ppl_gen.testing import (
    bounds,
    conjugacy,
    densities,
    dependencies,
    enumeration,
    guides,
    parameters,
    programs,
    ranges,
    slopes,
    tails,
)
from ppl_gen.testing.case import Case


def check_model(model: ProbabilisticModel, /, **given: Any) -> None:
    """Check that a model keeps the contract; return nothing if it does.

    The program is compared with the joint line, the guide with its line, samplers with densities, a conjugate
    update with Bayes' rule, and a point with the likelihood's maximum. Discrete latents may be summed out; a
    variable may be a function of others, without a density (an implicit model); terms of pyro.factor, which
    leave the joint unnormalised, are declared as ``potentials``.
    The model itself is not touched: a copy is run, from fixed seeds.

    Args:
        model: the model.
        given: what the joint is given: ``x=…`` for a discriminative model, the number of rows ``n=8`` for a
            generative one. A generated variable given too counts as observed.

    Raises:
        BrokenModel: names the first mistake, the line it breaks, and how to mend it.
        DataError, UnknownVariable: ``given`` does not fit the joint line.

    >>> import pyro, torch
    >>> from ppl_gen.models import VAE
    >>> check_model(VAE(features=3, latent=2), n=8)
    >>> class Deaf(VAE):
    ...     def model(self, n):
    ...         with pyro.plate("data", n):
    ...             z = pyro.sample("z", self.prior())
    ...             return pyro.sample("x", self.likelihood(self.decoder(torch.zeros_like(z))))
    >>> check_model(Deaf(features=3, latent=2), n=8)
    Traceback (most recent call last):
    ...
    ppl_gen.errors.BrokenModel: Deaf: model() draws 'x' without looking at 'z', its declared parent
        breaks  p(x | z)  of  p(z) p(x | z)
        mend    use 'z' where 'x' is drawn, or do not write it right of the bar
    """
    if not isinstance(model, ProbabilisticModel):
        raise DataError(f"model: expected a ProbabilisticModel, got {called(model)}")
    with isolated(0, grad=True, validate=True):
        case = Case(model, given)
        for rule in CONTRACT:
            pyro.set_rng_seed(0)  # alike whether all rules run or one
            rule(case)


CONTRACT: tuple[Callable[[Case], None], ...] = (
    programs.lines,
    programs.signatures,
    parameters.constructor,
    parameters.trainable,
    programs.given,
    programs.variables,
    programs.plates,
    guides.latents,
    dependencies.no_hidden_noise,
    densities.own_samples,
    parameters.inside,
    parameters.precision,
    ranges.in_range,
    dependencies.parents,
    dependencies.rows_apart,
    enumeration.values_apart,
    slopes.slopes,
    tails.falls,
    guides.factors,
    densities.normalised,
    densities.sampler_and_density,
    guides.explained,
    bounds.gradients,
    bounds.minibatches,
    bounds.start,
    guides.gaps,
    conjugacy.conjugate,
    conjugacy.predictive,
    conjugacy.merged,
    conjugacy.point,
    conjugacy.inverse,
)
