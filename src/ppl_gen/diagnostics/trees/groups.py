"""The groups of a tree for ArviZ, and what all trees have in common."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pyro
import torch

from ppl_gen.checks import did_you_mean
from ppl_gen.diagnostics.trees.labels import Labels, Named
from ppl_gen.errors import DataError

if TYPE_CHECKING:
    import xarray

GROUPS = (
    "posterior",
    "prior",
    "posterior_predictive",
    "prior_predictive",
    "log_likelihood",
    "log_prior",
    "sample_stats",
    "observed_data",
    "constant_data",
)
ROWLESS = ("posterior", "prior")  # what needs no rows
DRAWS = 500  # of a guide, if the user does not say
LARGEST = 1 << 30  # bytes of a tree


def chosen(groups: Iterable[str] | None) -> tuple[str, ...]:
    """The groups to make, in order: all of them for None.

    >>> chosen(["log_likelihood", "posterior"])
    ('posterior', 'log_likelihood')
    """
    wanted = GROUPS if groups is None else (groups,) if isinstance(groups, str) else tuple(groups)
    for name in wanted:
        if name not in GROUPS:
            hint = did_you_mean(str(name), GROUPS)
            raise DataError(f"groups: expected some of {', '.join(GROUPS)}; got {name!r}.{hint}")
    return tuple(name for name in GROUPS if name in wanted)


def refuse_large(cells: int, draws: int, bytes_each: int, what: str, smaller: str) -> None:
    """Refuse a tree of more than 1 GiB: ``cells`` numbers for each draw."""
    size = cells * draws * bytes_each
    if size > LARGEST:
        raise DataError(
            f"{draws:,} draws for {what} would take about {size / 2**30:.1f} GiB: pass fewer draws "
            f"(draws=…), {smaller}, or ask for fewer groups (groups=…)"
        )


def reseed(seed: int, part: int) -> None:
    """Each part of a tree has random numbers of its own: it is the same, whatever other groups are made."""
    pyro.set_rng_seed((seed * 1_000_003 + part) % 2**32)


def stack(drawn: Iterable[Named]) -> Named:
    """Values of many draws, name by name, the draws first."""
    drawn = list(drawn)
    return {name: torch.stack([d[name] for d in drawn]) for name in drawn[0]}


def history(elbo: Any) -> Any:
    """The ELBO of every step as an array with its dimension."""
    return "step", torch.as_tensor(elbo, dtype=torch.float64).numpy(force=True)


def tree_of(
    groups: Mapping[str, "xarray.Dataset"], labels: Labels, about: Mapping[str, Any], how: Mapping[str, str]
) -> "xarray.DataTree":
    """A tree of the groups that hold any, with what is known ``about`` them and ``how`` they were made."""
    import xarray

    from ppl_gen import __version__

    labels.check()
    attrs = {
        "inference_library": "pyro",
        "inference_library_version": pyro.__version__,
        "creation_library": "ppl_gen",
        "creation_library_version": __version__,
        **about,
    }
    made = {
        name: group.assign_attrs(attrs)
        for name, group in groups.items()
        if group.sizes or len(group.data_vars)
    }
    for name in made.keys() & how.keys():
        made[name].attrs["how"] = how[name]
    return xarray.DataTree.from_dict({"/": xarray.Dataset(attrs=attrs), **made})
