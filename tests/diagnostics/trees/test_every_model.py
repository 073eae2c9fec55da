"""ArviZ's table, LOO, comparison, LOO-PIT and figures run on a tree of every model, on both generations."""

import warnings
from collections.abc import Iterator
from functools import cache

import matplotlib

matplotlib.use("Agg")

import arviz_stats
import numpy as np
import pytest
import torch
import xarray
from torch import Tensor

from ppl_gen import SVI, Factorization, Posterior, ProbabilisticModel, fit, models
from ppl_gen.diagnostics import cells, compare_models, loo, loo_pit, summary, to_arviz
from ppl_gen.errors import DataError, Unreliable
from ppl_gen.inputs import admit
from tests.readme import VARIANTS, example
from tests.thinned import thinned

CASES = {name: (name, {}) for name in sorted(models.__all__)}
CASES |= {
    f"{name}({key}={value})": (name, {key: value}) for name, o in VARIANTS.items() for key, value in o.items()
}
STILL = {"Autoencoder", "DenoisingAutoencoder", "KernelNaiveBayes"}  # no draw changes p(x | …)
ROWS, DRAWS = 14, 40


def data_for(model: ProbabilisticModel) -> dict[str, Tensor]:
    """Rows that the model takes: numbers, bits, or one column of each; classes or numbers for y."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(ROWS, 2, generator=generator)
    bits = torch.randint(0, 2, (ROWS, 2), generator=generator)
    both = torch.stack([numbers[:, 0], bits[:, 1]], 1)
    line = Factorization(model.joint)
    names = [name for name in ("x", "y", "noisy") if name in line or name in line.given]
    for x in (numbers, both, bits):
        for y in (bits[:, 0], numbers[:, 1]):
            values = {name: {"y": y}.get(name, x) for name in names}
            try:
                admit(model, values)
            except DataError:
                continue
            return values
    raise AssertionError(f"no rows for {model}")


@cache
def fitted(case: str) -> Posterior:
    name, options = CASES[case]
    model = example(getattr(models, name), **options)
    data = data_for(model)
    at_once = hasattr(model, "cross_validated") or (hasattr(model, "updated") and "y" in data)
    method = () if at_once and name != "LogisticRegression" else (SVI(steps=5, progress=False),)
    return fit(model, *method, **data)


@cache
def tree(case: str) -> xarray.DataTree:
    return to_arviz(fitted(case), draws=DRAWS)


@pytest.fixture
def _advice() -> Iterator[None]:
    """ArviZ may advise: these fits are short, classes are no continuous variable."""
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*(Pareto|discrete variable|look discrete|looks? binary)")
        warnings.filterwarnings("ignore", "loo: all draws", Unreliable)
        yield
    plt.close("all")


@pytest.mark.usefixtures("_advice")
@pytest.mark.parametrize("case", thinned(CASES, 2))
def test_numbers(case: str) -> None:
    t = tree(case)
    table = summary(t)
    assert len(table) == sum(v[0, 0].size for v in t.posterior.data_vars.values())
    assert np.isfinite(table.to_numpy(dtype=float)).all()
    again = to_arviz(
        fitted(case), draws=DRAWS, seed=1, groups=["posterior", "log_likelihood", "log_prior", "sample_stats"]
    )
    for name in map(str, t.log_likelihood.data_vars):
        found = loo(t, name)
        assert len(found.rows) == ROWS
        assert torch.isfinite(found.rows).all()
        assert found.elpd_data.elpd_i.values == pytest.approx(found.rows.numpy())
        assert found.elpd_data.elpd == pytest.approx(found.elpd)
        both = {"one": t, "other": loo(again, name)}
        table = compare_models(both, name).table()
        assert table["difference"].max() == 0
        assert np.isfinite(table.drop(columns="how").to_numpy(dtype=float)).all()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas
            theirs = arviz_stats.compare({"one": found.elpd_data, "other": both["other"].elpd_data})
        assert sorted(theirs["rank"]) == [0, 1]
    pits = loo_pit(t).found
    columns = {str(name): v.shape[1:] for name, v in t.observed_data.data_vars.items()}
    assert len(pits) == sum(int(np.prod(shape)) for shape in columns.values())
    assert all(len(u.values) == ROWS for u in pits.values())


def test_only_points_are_still() -> None:
    for case in CASES:
        values = [v.values.reshape(DRAWS, -1) for v in tree(case).log_likelihood.data_vars.values()]
        assert any((np.ptp(v, 0) == 0).all() for v in values) == (case in STILL)
    with pytest.warns(Unreliable, match="as a point does"):
        found = loo(tree("Autoencoder"))
    rows = tree("Autoencoder").log_likelihood["x"].values[0, 0]
    assert found.rows.numpy() == pytest.approx(rows)
    assert (found.k_hat == -torch.inf).all()


QUICK = ("GaussianNaiveBayes", "LogisticRegression", "BernoulliMixture")


@pytest.mark.usefixtures("_advice")
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case in QUICK else pytest.mark.slow) for case in CASES]
)
def test_figures(case: str) -> None:
    import arviz_plots
    import matplotlib.pyplot as plt

    t, options = tree(case), {"backend": "matplotlib"}
    for name in map(str, t.observed_data.data_vars):
        arviz_plots.plot_ppc_dist(t, var_names=[name], num_samples=5, **options)
        flat = cells(t, name)
        arviz_plots.plot_ppc_pit(flat, var_names=[name], **options)
        if case not in STILL:
            arviz_plots.plot_loo_pit(flat, var_names=[name], **options)
    for name in map(str, t.log_likelihood.data_vars):
        arviz_plots.plot_khat(loo(t, name).elpd_data, **options)
    for name, values in t.posterior.data_vars.items():
        first = {dim: values.coords[dim].values[:1] for dim in values.dims[2:]}
        arviz_plots.plot_dist(t, var_names=[str(name)], coords=first, kind="ecdf", **options)
        break
    assert len(plt.get_fignums()) >= 3
