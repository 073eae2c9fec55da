"""From what was fitted to ArviZ: one `xarray.DataTree` that ArviZ 0.23, its 0.8 parts and ArviZ 1 all read.

The draws of a guide or of an exact posterior are independent: there is no chain whose convergence R-hat
or the effective sample size could judge, and `summary` never shows them. The draws of NUTS come as chains.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ppl_gen.checks import whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.diagnostics.trees.groups import ROWLESS, chosen
from ppl_gen.diagnostics.trees.labels import Coords, Dims
from ppl_gen.diagnostics.trees.posterior_trees import posterior_tree
from ppl_gen.diagnostics.trees.pyro_trees import pyro_tree
from ppl_gen.errors import DataError
from ppl_gen.posterior import Posterior

if TYPE_CHECKING:
    import xarray


def of_bare_pyro(value: Any) -> str:
    """What to pass in the place of what bare Pyro fitted, in words; nothing of anything else."""
    known = isinstance(value, ProbabilisticModel | type)
    bare = not known and (type(value).__module__.startswith("pyro.") or callable(value))
    return ". Of bare Pyro pass the tree, to_arviz(fitted, model, data)" if bare else ""


def to_arviz(
    fitted: Any,
    model: Any = None,
    /,
    *args: Any,
    draws: int | None = None,
    seed: int = 0,
    groups: Iterable[str] | None = None,
    dims: Dims | None = None,
    coords: Coords | None = None,
    elbo: Sequence[float] | None = None,
    **data: Any,
) -> "xarray.DataTree":
    """Draws of a posterior, and everything ArviZ asks about them, as an `xarray.DataTree`.

    ::

        to_arviz(posterior)                   # what fit returned, on the rows of the fit
        to_arviz(posterior, x=new)            # on others
        to_arviz(mcmc, model, data)           # bare Pyro: MCMC after its run …
        to_arviz(svi, model, data)            # … SVI, or a guide, whose parameters are in Pyro's store …
        to_arviz(found)                       # … or what fit_pyro returned

    The groups are posterior, prior, posterior_predictive, prior_predictive, log_likelihood (of each row),
    log_prior (of each parameter), sample_stats (log_p of latents and data and log_q of the latents, for each
    draw; elbo, the history of the fit), observed_data, and constant_data (what the joint is given). Chains of
    `NUTS` have lp, energy, diverging, acceptance_rate, tree_depth, n_steps and step_size in sample_stats (see
    `RecordingNUTS`; Pyro's own kernels tell diverging and, of a whole chain, accepted, the share that moved);
    those of a mixture also weights_entropy, labels_entropy and together: see `invariants`.

    A row's discrete latents are summed out of log_likelihood exactly; continuous ones are integrated out by
    importance sampling from the guide, and log_likelihood.attrs["how"] says so. Missing cells are NaN in
    observed_data and are left out of log_likelihood. The prior is what was believed before the data of the
    last fit. For rows that were not fitted, parameters have no log_p: log_p - log_q would weigh nothing.

    The components of a mixture were renamed alike in all draws of `NUTS` (see `relabelled`), but for those
    that the joint tells apart, such as a Dirichlet process's; the note in the tree's attributes says so.

    Of a bare Pyro model the data are what ``obs=`` observes, dimensions are named by the plates, and a
    discrete site that the guide or chain leaves open is enumerated and summed out, in the plates it is in.
    Continuous latents stay in log_likelihood as drawn, those of a row too, as ArviZ has it of other
    languages; ``attrs["how"]`` names them. Plates that draw a subsample of their rows take all of them here.
    Programs and Pyro's store stay as they were; modules run in evaluation mode.

    ArviZ's own summary, called on the tree, prints r_hat and ess columns, which mean nothing for draws that
    are independent by construction: use `ppl_gen.summary`, which leaves them out.

    Args:
        fitted: what `fit` or `fit_pyro` returned; Pyro's MCMC or SVI; a guide.
        model: a Pyro model, for all but the first two.
        args: what the model and the guide are called with.
        draws: how many [500 of a guide, all of a chain]; the same as ``posterior.draw(draws, seed)``. Of
            chains, how many of each, evenly spaced.
        seed: decides every draw; a group is the same, whatever other groups are made.
        groups: those to make [all]; predictions and the log likelihood of many rows take most of the time.
        dims: variable -> names of its dimensions after chain and draw, instead of the default ones: those
            of the plates and sizes in the singular (class, component, feature, latent), "row" for the rows.
        coords: dimension -> labels: ``{"feature": data.features, "class": data.classes}``. The columns of a
            pandas DataFrame label themselves.
        elbo: the history of the bound, minus Pyro's losses, which its SVI does not keep.
        data: of a posterior, the rows, by name; by default those of the last fit. Of a posterior that holds
            none (after `load`, or an estimator's) the tree has the groups posterior and prior alone without
            them, and its note says so. Of a bare model, further arguments.

    Raises:
        DataError: this is none of those, there are no data, they were changed in place after the fit, the
            tree would take more than 1 GiB, names do not fit, or a guide's parameters are not in the store.
        UnknownVariable, Unexplained: the data do not fit the joint.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=[[0.], [1.], [5.]], y=[0, 0, 1])
    >>> tree = to_arviz(posterior, draws=10, coords={"class": ["small", "large"]})
    >>> tree.posterior["mu"].dims
    ('chain', 'draw', 'class', 'feature')
    >>> bool(abs(tree.sample_stats.log_p - tree.sample_stats.log_q - posterior.log_evidence).max() < 1e-9)
    True
    """
    how_many = None if draws is None else whole("draws", draws)
    seed, wanted = whole("seed", seed, least=0), chosen(groups)
    if groups is None and isinstance(fitted, Posterior) and fitted.data is None and not data:
        wanted = ROWLESS
    if not isinstance(fitted, Posterior):
        return pyro_tree(fitted, model, args, data, how_many, seed, wanted, dims, coords, elbo)
    if model is not None or args:
        raise DataError(
            "to_arviz: a posterior knows its model: pass other rows by name, to_arviz(posterior, x=…)"
        )
    if elbo is not None:
        raise DataError("elbo: a posterior knows its own history")
    return posterior_tree(fitted, how_many, seed, data, wanted, dims, coords)
