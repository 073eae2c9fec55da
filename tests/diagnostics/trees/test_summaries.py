"""Whether chains of a mixture agree, whatever their components are called."""

import warnings
from dataclasses import replace

import pyro
import pytest
import torch

from ppl_gen import NUTS, VariationalBayes, fit, invariants, load, relabelled, save, summary, to_arviz
from ppl_gen.errors import DataError, Unanswerable, Unreliable
from ppl_gen.inference.nuts import Draws
from ppl_gen.models import GaussianMixture, LinearRegression

DRAWS = 300  # of each of two chains; they are independent
MODEL = GaussianMixture(2, 1)
# Three groups far apart, for two components: which two share one is a matter of the start.
X = torch.cat([torch.arange(8.0)[:, None] / 8 + centre for centre in (0.0, 10.0, 20.0)]).double()


def drawn(labels, seed):
    """Draws of the parameters, as if the components were those of the ``labels``: they are independent."""
    return fit(MODEL, x=X, z=labels).draw(DRAWS, seed)


def as_chains(*chains):
    """A posterior of these chains."""
    posterior = fit(MODEL, VariationalBayes(), x=X)
    stacked = {name: torch.stack([chain[name] for chain in chains]) for name in chains[0]}
    return replace(posterior, model=MODEL, guide=Draws(stacked), method=NUTS(), note="", _drawn={})


def flipped(values):
    return {name: v.flip(1) for name, v in values.items()}


LEFT = torch.tensor([0] * 16 + [1] * 8)  # the first two groups share a component
RIGHT = torch.tensor([0] * 8 + [1] * 16)  # the last two


@pytest.fixture(scope="module")
def permuted():
    return as_chains(drawn(LEFT, 0), flipped(drawn(LEFT, 1)))


@pytest.fixture(scope="module")
def tree(permuted):
    return to_arviz(permuted)


def rows(table):
    return [str(name) for name in table.index if str(name).startswith("invariant: ")]


def test_chains_that_differ_by_a_permutation_agree_on_invariants(tree):
    """The raw labels are flagged; nothing else is, and no warning comes (warnings are errors here)."""
    table = summary(tree, round_to="none")
    hats = table["r_hat"].astype(float)
    assert hats["mu[0, 0]"] > 1.5
    assert hats["pi[1]"] > 1.5
    assert len(rows(table)) == 6
    assert (hats[rows(table)] < 1.05).all()
    assert table.columns.name is None
    assert invariants(tree, round_to="none").equals(table.loc[rows(table)])


def test_once_renamed_the_parameters_agree_and_the_table_says_so(permuted, tree):
    named = relabelled(permuted)
    after = to_arviz(named)
    table = summary(after, round_to="none")
    assert "labels had switched in 300 of 600" in named.note
    assert (table["r_hat"].astype(float) < 1.05).all()
    assert str(table).startswith("components renamed alike")
    assert "components renamed alike" in table.to_html()
    before = invariants(tree, round_to="none")
    numbers = ["mean", "sd"]
    assert (before[numbers] - table.loc[rows(table), numbers]).abs().to_numpy().max() < 1e-9
    assert not rows(summary(after, var_names=["mu"]))


def test_chains_in_two_modes_are_found_by_invariants():
    stuck = to_arviz(relabelled(as_chains(drawn(LEFT, 0), drawn(RIGHT, 1))), draws=100)
    with pytest.warns(Unreliable, match="chains disagree on what no renaming of components can change"):
        table = invariants(stuck, round_to="none")
    hats = table["r_hat"].astype(float)
    worst = {name.split("(")[0] for name in hats.index[hats > 1.5]}
    assert {"invariant: log p", "invariant: p"} <= worst
    together = next(name for name in hats.index if "together" in name)
    i, j = map(int, together.split("rows ")[1].split(" together")[0].split(", "))
    assert LEFT[i].eq(LEFT[j]) != RIGHT[i].eq(RIGHT[j])  # on these two rows the chains do disagree
    with pytest.warns(Unreliable) as caught:
        summary(stuck)
    assert caught[0].filename == __file__


def test_invariants_are_in_the_tree(permuted, tmp_path):
    tree = to_arviz(permuted, draws=20)
    stats = tree["sample_stats"]
    assert stats["together"].dims == ("chain", "draw", "pair")
    i, j = map(int, str(stats["pair"].values[0]).split(", "))
    assert (i, j) != (j, i)
    assert float(stats["weights_entropy"].max()) <= torch.tensor(2.0).log() + 1e-12
    tree.to_netcdf(tmp_path / "tree.nc")
    save(relabelled(permuted), tmp_path / "nuts.pplgen")
    again = load(tmp_path / "nuts.pplgen")  # without its data
    assert "renamed alike" in again.note
    assert "together" in to_arviz(again, draws=2, x=X)["sample_stats"]


def test_what_bare_pyro_fitted_is_shown_the_way():
    svi = pyro.infer.SVI(lambda: None, lambda: None, pyro.optim.Adam({}), pyro.infer.Trace_ELBO())
    for fitted in (svi, lambda: None):
        with pytest.raises(DataError, match=r"Of bare Pyro pass the tree, to_arviz\(fitted, model, data\)"):
            summary(fitted)


def test_other_posteriors_have_none():
    x, y = [[-1.0], [0.0], [1.0], [2.0]], [0.0, 1.1, 0.5, 1.9]
    model = LinearRegression(1, shape=3.0, rate=2.0, precision=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unreliable)  # so short a chain may diverge
        chains = fit(model, NUTS(draws=10, warmup=10, chains=2), x=x, y=y)
    assert not rows(summary(chains))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for other in (chains, fit(MODEL, VariationalBayes(), x=X)):
            with pytest.raises(Unanswerable, match="expected chains of NUTS from a mixture"):
                invariants(other)
