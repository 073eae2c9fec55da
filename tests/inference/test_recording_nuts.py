"""The kernel that tells more draws as Pyro's does, and what it tells is so."""

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import MCMC, NUTS
from scipy import stats

import ppl_gen
from ppl_gen import fit, load, save, to_arviz
from ppl_gen.inference import RecordingNUTS
from ppl_gen.isolation import isolated
from ppl_gen.models import LinearRegression

DIM = 3


def gaussian() -> None:
    pyro.sample("z", dist.Normal(torch.zeros(DIM).double(), torch.arange(1.0, DIM + 1).double()).to_event(1))


def funnel() -> None:
    v = pyro.sample("v", dist.Normal(torch.tensor(0.0).double(), 5.0))
    pyro.sample("x", dist.Normal(torch.zeros(4).double(), (v / 2).exp()).to_event(1))


def run(kernel: type, model: object, draws: int = 150, **options: object) -> MCMC:
    with isolated(3, grad=True):
        chain = MCMC(kernel(model, **options), draws, warmup_steps=20, disable_progbar=True)
        chain.run()
    return chain


def test_the_draws_are_those_of_pyro() -> None:
    ours, theirs = (run(kernel, gaussian, 40).get_samples()["z"] for kernel in (RecordingNUTS, NUTS))
    assert torch.equal(ours, theirs)


def test_energies_depths_and_densities_by_hand() -> None:
    chain = run(RecordingNUTS, gaussian)
    told = {name: np.array(each.get("chain 0", [])) for name, each in chain.diagnostics().items()}
    z = chain.get_samples()["z"].numpy()
    density = stats.norm.logpdf(z, 0, np.arange(1.0, DIM + 1)).sum(1)
    assert told["lp"] == pytest.approx(density, rel=1e-9)
    kinetic = told["energy"][1:] + told["lp"][:-1]  # half a chi-square of DIM degrees, drawn afresh
    low, high = stats.chi2.ppf([5e-7, 1 - 5e-7], DIM * len(kinetic))
    assert low < 2 * kinetic.sum() < high
    assert (kinetic > 0).all()
    assert (2.0 ** (told["tree_depth"] - 1) <= told["n_steps"]).all()
    assert (told["n_steps"] < 2.0 ** told["tree_depth"]).all()
    assert ((told["acceptance_rate"] >= 0) & (told["acceptance_rate"] <= 1)).all()
    assert len(set(told["step_size"])) == 1


def test_divergences_are_those_that_pyro_counts() -> None:
    coarse = {"step_size": 1.0, "adapt_step_size": False, "max_tree_depth": 5}
    told = run(RecordingNUTS, funnel, 60, **coarse).diagnostics()
    counted = sorted(told["divergences"]["chain 0"])
    assert 0 < len(counted) < 60  # a funnel's neck has some
    assert np.flatnonzero(told["diverging"]["chain 0"]).tolist() == counted


def test_chains_of_the_method_keep_them_on_disk_and_in_the_tree(tmp_path) -> None:
    x, y = [[0.0], [1.0], [2.0], [3.0]], [1.1, 2.9, 5.1, 6.9]
    method = ppl_gen.NUTS(draws=12, warmup=12, chains=2, progress=False)
    posterior = fit(LinearRegression(features=1), method, x=x, y=y)
    save(posterior, tmp_path / "chains.pplgen")
    tree, again = (to_arviz(p, x=x, y=y) for p in (posterior, load(tmp_path / "chains.pplgen")))
    stats_ = tree["sample_stats"]
    assert {"lp", "energy", "diverging", "acceptance_rate", "tree_depth", "n_steps", "step_size"} < set(
        stats_
    )
    assert stats_["energy"].dims == ("chain", "draw")
    assert stats_["energy"].shape == (2, 12)
    assert stats_.equals(again["sample_stats"])
    assert int(stats_["diverging"].sum()) == int(posterior.note.split("; ")[1].split()[0])
    thin = to_arviz(posterior, draws=4)["sample_stats"]
    assert np.array_equal(thin["energy"].values, stats_["energy"].values[:, ::3])
