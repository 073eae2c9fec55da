"""The verb fit: reproducible, without lasting effect, and safe."""

import copy
import random
import threading

import numpy as np
import pyro
import pytest
import torch
from pyro import distributions as dist

from ppl_gen import (
    EM,
    NUTS,
    SVI,
    Exact,
    LowerBound,
    ProbabilisticModel,
    VariationalBayes,
    ask,
    check_model,
    fit,
    load,
    save,
    to_arviz,
)
from ppl_gen.data import gaussian_mixture, iris
from ppl_gen.distributions import Bernoulli
from ppl_gen.errors import (
    DataError,
    Interrupted,
    NoEvidence,
    NonFinite,
    Unanswerable,
    Unexplained,
    UnknownVariable,
)
from ppl_gen.inference import Laplace, elbo
from ppl_gen.isolation import isolated
from ppl_gen.models import (
    VAE,
    GaussianMixture,
    GaussianNaiveBayes,
    GaussianRegression,
    LogisticRegression,
    MultinomialNaiveBayes,
    QuadraticDiscriminantAnalysis,
)

DATA = iris().standardized()
ZEROS_AND_ONES = (DATA.x > 0).double()
FITS = {
    "naive Bayes, exact": (GaussianNaiveBayes(classes=3, features=4), Exact(), {"x": DATA.x, "y": DATA.y}),
    "naive Bayes": (GaussianNaiveBayes(classes=3, features=4), SVI(steps=20), {"x": DATA.x, "y": DATA.y}),
    "logistic": (LogisticRegression(classes=3, features=4), SVI(steps=20), {"x": DATA.x, "y": DATA.y}),
    "mixture": (GaussianMixture(components=2, features=4), SVI(steps=20), {"x": DATA.x}),
    "mixture, full rank": (
        GaussianMixture(components=2, features=4), SVI(steps=20, guide="full_rank"), {"x": DATA.x},
    ),
    "VAE, minibatches": (
        VAE(features=4, latent=2, hidden=(8,), dropout=0.1),
        SVI(steps=20, batch_size=40),
        {"x": ZEROS_AND_ONES},
    ),
}  # fmt: skip


def bits(posterior):
    """Everything that a fit found."""
    tensors = {**dict(posterior.model.state_dict()), "elbo": posterior.elbo}
    if isinstance(posterior.guide, torch.nn.Module):
        tensors |= {f"guide {k}": v for k, v in posterior.guide.state_dict().items()}
    return tensors


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("name", FITS)
def test_one_seed_gives_the_same_bits(name):
    model, method, data = FITS[name]
    before = copy.deepcopy(model.state_dict())
    first = bits(fit(model, method, **data))
    fit(model, method, **{k: v[:100] for k, v in data.items()})  # other data in between
    torch.manual_seed(99)
    assert same(first, bits(fit(model, method, **data)))
    assert same(before, model.state_dict())  # the user's model is as it was
    if isinstance(method, SVI):
        other = SVI(steps=20, guide=method.guide, batch_size=method.batch_size, seed=1)
        assert not same(first, bits(fit(model, other, **data)))


def state_of_the_world():
    return (
        torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate(),
        torch.get_default_dtype(), torch.is_grad_enabled(), torch.distributions.Distribution._validate_args,
        pyro.settings.get("module_local_params"), pyro.settings.get("validate_poutine"),
        sorted(pyro.get_param_store().keys()),
    )  # fmt: skip


@pytest.mark.parametrize("validate", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_every_verb_leaves_the_world_as_it_was(validate, tmp_path):
    with pyro.validation_enabled(validate):
        before = state_of_the_world()
        for model, method, data in FITS.values():
            posterior = fit(model, method, **data)
            assert state_of_the_world() == before
            given = {"x": data["x"][:5]} if "p(x)" not in model.joint and "y" in data else {}
            question = "p(y | x)" if given else "p(x)"
            answer = ask(posterior, question, LowerBound(), **given)
            value = answer.probs if given else answer.log_prob(x=data["x"][:5])
            assert torch.isfinite(value).all()
            answer.sample(3)
            to_arviz(posterior, draws=3)
            save(posterior, tmp_path / "posterior.pplgen")
            load(tmp_path / "posterior.pplgen")
            given = {"x": DATA.x} if isinstance(model, LogisticRegression) else {}
            check_model(model, **given)
            posterior.draw(3)
            posterior.estimate_elbo(2)
            repr(model), repr(posterior), model._repr_html_(), posterior._repr_html_()
            assert state_of_the_world() == before
        with pytest.raises(DataError):
            fit(FITS["mixture"][0], x=[*DATA.x.tolist()[:3], [0.0, 0.0, 0.0, float("inf")]])
        assert state_of_the_world() == before


def test_threads_equal_their_sequential_results():
    model, method, data = FITS["mixture"]
    expected = bits(fit(model, method, **data))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(bits(fit(model, method, **data)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(same(expected, other) for other in found)


def in_threads(*calls):
    """What each call gives, or raises, all at once."""
    found = [None] * len(calls)

    def run(i):
        try:
            found[i] = calls[i]()
        except Exception as error:
            found[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_different_fits_in_threads_equal_their_sequential_results():
    """Exact, SVI with and without minibatches, and a chain, which share nothing but the process."""
    model, _, data = FITS["logistic"]
    calls = [lambda name=name: bits(fit(FITS[name][0], FITS[name][1], **FITS[name][2])) for name in FITS]
    calls.append(lambda: bits(fit(model, NUTS(draws=5, warmup=5, chains=1), **data)))
    exact = FITS["naive Bayes, exact"][0]
    calls.append(lambda: {"p(y | x)": ask(fit(exact, **data), "p(y | x)", x=DATA.x[:3]).probs})
    expected, before = [call() for call in calls], state_of_the_world()
    for one, other in zip(in_threads(*calls), expected, strict=True):
        assert same(one, other)
    assert state_of_the_world() == before


def test_a_fit_that_fails_in_a_thread_disturbs_no_other():
    model, method, data = FITS["mixture"]
    expected, before = bits(fit(model, method, **data)), state_of_the_world()
    bad, failing = torch.full((4,), 5.0), SVI(steps=50, learning_rate=0.03, schedule="constant")
    pair = [lambda: bits(fit(model, method, **data)), lambda: fit(Explodes(), failing, x=bad)]
    found = in_threads(*pair * 3)
    assert all(same(one, expected) for one in found[::2])
    assert all(isinstance(one, NonFinite) for one in found[1::2])
    assert state_of_the_world() == before


class Fails(ProbabilisticModel):
    """Its guide raises at the ``last`` run, inside Pyro's handlers, having changed what is global."""

    joint = "p(mu) p(x | mu)"

    def __init__(self, last, error):
        super().__init__()
        self.last, self.error, self.runs = last, error, 0
        self.at = torch.nn.Parameter(torch.tensor(0.0))

    def model(self, n):
        mu = pyro.sample("mu", dist.Normal(torch.tensor(0.0), 10.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, 1.0))

    def guide(self):
        self.runs += 1
        pyro.sample("mu", dist.Normal(self.at, 1.0))
        if self.runs == self.last:
            torch.set_default_dtype(torch.float64)
            np.random.seed(0)
            random.seed(0)
            pyro.enable_validation(not torch.distributions.Distribution._validate_args)
            raise self.error


@pytest.mark.parametrize("error", [ValueError("half-way"), SystemExit(3)])
@pytest.mark.parametrize("last", [1, 3, 6])
def test_a_fit_that_fails_half_way_leaves_the_world_as_it_was(last, error):
    before = state_of_the_world()
    with pytest.raises(type(error)):
        fit(Fails(last, error), SVI(steps=20, batch_size=2, compile=False), x=[1.0, 2.0, 3.0])
    assert state_of_the_world() == before
    model, method, data = FITS["mixture"]
    assert len(fit(model, method, **data).elbo) == 20  # Pyro's stack of handlers is empty again


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_fit_trains_where_gradients_are_off(context):
    model, method, data = FITS["mixture"]
    expected = bits(fit(model, method, **data))
    with context():
        assert same(expected, bits(fit(model, method, **data)))


def test_svi_climbs_to_a_bound_below_the_exact_evidence():
    model, _, data = FITS["naive Bayes"]
    exact = fit(model, x=data["x"], y=data["y"]).log_evidence
    posterior = fit(model, SVI(steps=800), **data)
    bound, error = posterior.estimate_elbo(400)
    start = posterior.elbo[:20].mean()
    assert start < exact - 300  # the start is far away
    assert bound < exact + 5 * error  # 5 s.e.: false alarms below 1e-6
    assert bound > exact - 30


@pytest.mark.parametrize("guide", ["mean_field", "full_rank"])
def test_every_guide_stays_below_the_evidence(guide):
    model, _, data = FITS["naive Bayes"]
    exact = fit(model, **data).log_evidence
    bound, error = fit(model, SVI(steps=600, guide=guide), **data).estimate_elbo(200)
    assert bound < exact + 5 * error


def test_a_function_with_pyro_param_is_a_guide():
    class Mean(ProbabilisticModel):
        joint = "p(mu) p(x | mu)"

        def model(self, n):
            mu = pyro.sample("mu", dist.Normal(torch.tensor(0.0), 10.0))
            with pyro.plate("data", n):
                pyro.sample("x", dist.Normal(mu, 1.0))

    def guide():
        loc = pyro.param("loc", torch.tensor(0.0))
        scale = pyro.param("scale", torch.tensor(1.0), constraint=dist.constraints.positive)
        pyro.sample("mu", dist.Normal(loc, scale))

    x = torch.tensor([1.0, 2.0, 6.0])
    posterior = fit(Mean(), SVI(steps=600, learning_rate=0.05, guide=guide, particles=4), x=x)
    precision = 3 + 1 / 100
    draws = posterior.draw(4000, seed=0)["mu"]
    exact_mean, exact_sd = 9 / precision, precision**-0.5
    start = abs(0 - exact_mean)
    assert start > 1
    assert abs(draws.mean() - exact_mean) < 0.2 * exact_sd + 5 * exact_sd / 4000**0.5
    assert abs(draws.std() / exact_sd - 1) < 0.2
    assert not list(pyro.get_param_store().keys())


def test_continuing_on_the_same_rows_gives_more_steps():
    model, method, data = FITS["mixture"]
    once = fit(model, method, **data)
    twice = fit(once, method, **data)
    assert len(twice.elbo) == 40
    assert torch.equal(twice.elbo[:20], once.elbo)
    assert twice.fingerprints == once.fingerprints


def test_what_has_no_evidence_names_methods_that_have_a_bound():
    """Where labels are hidden Exact() cannot count, and is not recommended."""
    x, methods = [[0.0], [0.3], [9.0], [9.2]], (EM(restarts=1), NUTS(draws=5, warmup=5, chains=1))
    for method in methods:
        posterior = fit(GaussianMixture(components=2, features=1), method, x=x)
        for asked in (lambda p=posterior: p.log_evidence, posterior.estimate_elbo):
            with pytest.raises(NoEvidence, match=r"VariationalBayes\(\) and SVI\(\) bound it\.$") as refused:
                asked()
            assert "Exact()" not in str(refused.value)
            assert "posterior.elbo" not in str(refused.value)  # theirs is no bound, or empty
    known = fit(GaussianNaiveBayes(classes=2, features=1), methods[1], x=x, y=[0, 0, 1, 1])
    with pytest.raises(NoEvidence, match=r"closed form\. Exact\(\) knows it; SVI\(\) bounds it\.$"):
        _ = known.log_evidence
    logistic = fit(LogisticRegression(classes=2, features=1), Laplace(), x=x, y=[0, 0, 1, 1])
    with pytest.raises(NoEvidence, match=r"bounds it from below\. SVI\(\) bounds it\.$"):
        _ = logistic.log_evidence


def test_new_rows_take_yesterdays_posterior_as_their_prior():
    """Streaming VB: half and half ends near the fit of all rows, not near the fit of the second half."""
    x, y = DATA.x[torch.randperm(150, generator=torch.Generator().manual_seed(0))], None
    del y
    shuffled = gaussian_mixture(rows=400, components=2, features=1, seed=3)
    x = shuffled.x
    model = GaussianNaiveBayes(classes=2, features=1)
    method = SVI(steps=400)
    halves = fit(fit(model, method, x=x[:300], y=shuffled.y[:300]), method, x=x[300:], y=shuffled.y[300:])
    exact = fit(model, x=x, y=shuffled.y)
    second = fit(model, x=x[300:], y=shuffled.y[300:])
    sd = {k: v.std(0) for k, v in exact.draw(2000, seed=0).items()}["mu"]
    ours, whole, part = (p.draw(2000, seed=1)["mu"] for p in (halves, exact, second))
    assert (ours.std(0) / sd).max() < 1.3  # as narrow as 400 rows make it
    assert (part.std(0) / sd).min() > 1.5  # 100 rows alone do not
    assert ((ours.mean(0) - whole.mean(0)).abs() / sd).max() < 0.5


def test_log_evidence_is_refused_where_it_is_unknown():
    model, method, data = FITS["mixture"]
    with pytest.raises(NoEvidence, match=r"posterior\.elbo bounds it from below"):
        _ = fit(model, method, **data).log_evidence


class Explodes(ProbabilisticModel):
    """Finite until its parameter passes 1."""

    joint = "p(x)"

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(0.9))

    def model(self, n):
        with pyro.plate("data", n):
            scale = torch.where(self.a < 1, self.a, torch.nan)
            pyro.sample("x", dist.Normal(torch.zeros(n), scale, validate_args=False))

    def guide(self):
        pass


def test_a_fit_stops_at_the_first_non_finite_number():
    with pytest.raises(NonFinite, match=r"stopped at step \d+: log p\(x \| …\) of rows 0, 1") as caught:
        fit(Explodes(), SVI(steps=50, learning_rate=0.03, schedule="constant"), x=torch.full((4,), 5.0))
    error = caught.value
    assert error.site == "x"
    assert len(error.posterior.elbo) == error.step
    assert torch.isfinite(error.posterior.elbo).all()
    assert "stopped by inf or nan" in error.posterior.note


class Cells(ProbabilisticModel):
    """Three cells of each row, in a plate inside the rows'; the scale of the last row is lost on the way."""

    joint = "p(x)"

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(0.9))

    def model(self, n):
        with pyro.plate("data", n, dim=-2), pyro.plate("cells", 3, dim=-1):
            lost = (torch.arange(n)[:, None] == n - 1) & (self.a > 1)
            pyro.sample("x", dist.Normal(0.0, torch.where(lost, torch.nan, self.a), validate_args=False))


def test_rows_are_named_whatever_lies_inside_them():
    with pytest.raises(NonFinite, match=r"log p\(x \| …\) of row 4 is not finite"):
        fit(Cells(), SVI(steps=50, learning_rate=0.03, schedule="constant"), x=torch.full((5, 3), 5.0))


def test_the_callers_autocast_decides_nothing():
    """Nor where torch would take it up: in the networks of a VAE."""
    model, x = VAE(features=4, latent=2, hidden=(8,)), (DATA.x > 0).float()
    method = SVI(steps=5, progress=False)
    expected = fit(model, method, x=x).elbo
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(fit(model, method, x=x).elbo, expected)


def test_ctrl_c_returns_what_there_is():
    calls = []

    def press(fraction):
        calls.append(fraction)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return 1.0

    model, _, data = FITS["mixture"]
    with pytest.warns(Interrupted, match="stopped by hand after 7 of 100 steps"):
        posterior = fit(model, SVI(steps=100, schedule=press), **data)
    assert len(posterior.elbo) == 7
    assert "7 of 100" in str(posterior)


def test_any_optimiser_of_torch():
    model, _, data = FITS["mixture"]
    for optimiser in (torch.optim.SGD, torch.optim.RMSprop, torch.optim.AdamW, torch.optim.Adagrad):
        posterior = fit(model, SVI(steps=3, learning_rate=1e-4, optimizer=optimiser), **data)
        assert torch.isfinite(posterior.elbo).all()


REFUSED = [
    ({}, {}, DataError, "fit needs data named like the variables"),
    ({}, {"w": [1.0]}, UnknownVariable, "'w' is not a variable of GaussianMixture"),
    ({}, {"x": [[1.0]]}, DataError, r"x: expected shape \(1, 4\) \(rows first\), got \(1, 1\)"),
    ({}, {"x": torch.zeros(0, 4)}, DataError, "x: expected at least one row"),
    ({}, {"x": [["a", "b", "c", "d"]]}, DataError, "x: expected numbers"),
    ({}, {"x": [[1.0, 2.0, 3.0, float("inf")]]}, DataError, "x: expected finite real numbers, got inf"),
    ({}, {"x": DATA.x, "z": [0, 1]}, DataError, "z: expected shape"),
]


@pytest.mark.parametrize(("options", "data", "error", "message"), REFUSED)
def test_bad_data_are_refused_by_name(options, data, error, message):
    with pytest.raises(error, match=message):
        fit(GaussianMixture(components=2, features=4), SVI(steps=1, **options), **data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps: expected a whole number from 1 up, got 0"),
        ({"steps": 1.5}, "steps: expected a whole number"),
        ({"learning_rate": -1}, "learning_rate: expected a positive number"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a positive number"),
        ({"batch_size": -3}, "batch_size: expected a whole number from 0 up"),
        ({"particles": True}, "particles: expected a whole number"),
        ({"schedule": "linear"}, "schedule: expected"),
    ],
)
def test_bad_settings_are_refused_by_name(options, message):
    with pytest.raises(DataError, match=message):
        SVI(**options)


def test_bad_methods_models_and_guides_are_refused():
    model, _, data = FITS["mixture"]
    with pytest.raises(DataError, match="method: expected"):
        fit(model, "svi", **data)
    with pytest.raises(DataError, match="model: expected a ProbabilisticModel"):
        fit(torch.nn.Linear(1, 1), **data)
    with pytest.raises(DataError, match="guide: expected None, mean_field, full_rank"):
        fit(model, SVI(steps=1, guide="spherical"), **data)
    with pytest.raises(DataError, match="pass the class, guide=AutoNormal"):
        fit(model, SVI(steps=1, guide=pyro.infer.autoguide.AutoNormal(model.model)), **data)

    def misspelt():
        model.guide()
        pyro.sample("nu", dist.Normal(0.0, 1.0))

    with pytest.raises(DataError, match="samples 'nu', which GaussianMixture does not have"):
        fit(model, SVI(steps=1, guide=misspelt), **data)
    with pytest.raises(Unanswerable, match="Exact needs every row's z"):
        fit(model, Exact(), **data)


def test_grey_levels_offered_to_bernoulli_are_refused_with_advice():
    with pytest.raises(DataError, match=r"zeros and ones.*got 0.5 .*binarise.*Categorical\(levels\)"):
        fit(VAE(features=2, latent=1, likelihood=Bernoulli()), x=[[0.0, 1.0], [0.5, 1.0]])


def test_an_unexplained_latent_is_named():
    class Counts(ProbabilisticModel):
        joint = "p(k) p(x | k)"
        approximation = ""

        def __init__(self):
            super().__init__()
            self.a = torch.nn.Parameter(torch.tensor(1.0))

        def model(self, n):
            with pyro.plate("data", n):
                k = pyro.sample("k", dist.Poisson(torch.full((n,), 3.0)))
                pyro.sample("x", dist.Normal(k + self.a, 1.0))

        def guide(self):
            pass

    with pytest.raises(
        Unexplained, match="'k' is a latent variable that is neither observed, sampled by the guide"
    ):
        fit(Counts(), SVI(steps=1), x=[1.0, 2.0])


@pytest.mark.parametrize("method", [SVI(steps=1), Laplace(), None])
def test_hidden_numbers_of_the_rows_are_named(method):
    with pytest.raises((Unexplained, Unanswerable), match=r"\bx\b") as caught:
        fit(GaussianNaiveBayes(classes=2, features=1), method, y=[0, 1, 1])
    assert "which sums" not in str(caught.value)  # x is not finite


@pytest.mark.filterwarnings("ignore::ppl_gen.errors.Unreliable")
@pytest.mark.parametrize(
    "p", [GaussianNaiveBayes(3, 4), QuadraticDiscriminantAnalysis(3, 4), MultinomialNaiveBayes(3, 4)], ids=str
)
def test_what_counts_labels_names_the_methods_that_do_without(p):
    x, y = (DATA.x - DATA.x.min(0).values).round(), DATA.y.double()
    y[3] = torch.nan
    methods = {"EM()": EM(steps=2), "VariationalBayes()": VariationalBayes(steps=2), "SVI()": SVI(steps=2)}
    with pytest.raises(DataError, match=r"got none .* for row 3: drop such rows, or use EM") as refused:
        fit(p, x=x, y=y)
    for name, method in methods.items():
        if name in str(refused.value):
            assert torch.isfinite(fit(p, method, x=x, y=y).elbo).all()
        else:
            with pytest.raises(Unanswerable, match="VariationalBayes needs expectations"):
                fit(p, method, x=x, y=y)


def test_rows_without_a_label_are_counted_in_the_note():
    y = [0.0, 1.0, float("nan"), 1.0]
    x = torch.arange(4.0).reshape(4, 1)
    posterior = fit(LogisticRegression(classes=2, features=1), Laplace(), x=x, y=y)
    assert "1 of 4 rows without y" in str(posterior)


def test_missing_cells_are_summed_out_by_svi():
    """A column that nobody saw changes nothing: the ELBO is that of the model without it."""
    x = DATA.x[:, :2]
    blind = torch.cat([x, torch.full((150, 1), torch.nan)], 1)
    model = GaussianNaiveBayes(classes=3, features=3)
    svi = fit(model, SVI(steps=300), x=blind, y=DATA.y)
    exact = fit(model, x=blind, y=DATA.y)
    without = fit(GaussianNaiveBayes(classes=3, features=2), x=x, y=DATA.y)
    assert exact.log_evidence == pytest.approx(without.log_evidence, rel=1e-10)
    bound, error = svi.estimate_elbo(200)
    assert bound < exact.log_evidence + 5 * error
    assert bound > exact.log_evidence - 60
    mixture = fit(GaussianMixture(components=2, features=3), SVI(steps=20), x=blind)
    assert torch.isfinite(mixture.elbo).all()


def test_missing_cells_that_others_depend_on_are_refused_where_they_cannot_be_summed_out():
    gap = DATA.y.double()
    gap[3] = torch.nan
    with pytest.raises(
        DataError, match=r"y: expected no missing cells, since x depends on it; got NaN at \[3\]"
    ):
        fit(GaussianRegression(features=4), SVI(steps=1), x=DATA.x, y=gap)
    with pytest.raises(
        DataError, match=r"y: expected a class for every row, got none \(NaN\) for row 3.*or use"
    ):
        fit(GaussianNaiveBayes(classes=3, features=4), x=DATA.x, y=gap)

    def told(y):
        pass

    with pytest.raises(DataError, match=r"y: .* since the guide is given it: q\(pi\).*got NaN at \[3\]"):
        fit(GaussianNaiveBayes(classes=3, features=4), SVI(steps=1, guide=told), x=DATA.x, y=gap)


def test_likely_slips_are_answered_in_words():
    model, method, data = FITS["naive Bayes"]
    for call, message in [
        (lambda: fit(model, SVI, **data), r"got the class SVI; make one: SVI\(…\)"),
        (lambda: fit(GaussianNaiveBayes, **data), "got the class GaussianNaiveBayes; make one"),
        (lambda: fit(model, data["x"], data["y"]), "data are passed by name"),
        (lambda: fit(model, method, data["x"]), "data are passed by name"),
        (lambda: ask(model, "p(x | y)", y=1).log_prob(data["x"]), "values are passed by name"),
        (lambda: fit(model, X=data["x"], y=data["y"]), "Did you mean 'x'?"),
        (lambda: ask(model, "p(x | y=1)"), "values are passed by name"),
        (lambda: SVI(optimizer="adam"), "optimizer: expected a class of torch.optim"),
        (lambda: SVI(optimizer=torch.optim.LBFGS), "optimizer: LBFGS"),
        (lambda: SVI(optimizer=pyro.optim.Adam), "got one of pyro.optim"),
        (lambda: SVI(optimizer=pyro.optim.Adam({"lr": 0.1})), "got one of pyro.optim"),
        (lambda: Exact(chunk=0), "chunk: expected a whole number"),
        (
            lambda: VAE(features=3, latent=2, decoder=torch.nn.Linear(2, 8)),
            r"decoder: expected .*got one to \(2, 8\)",
        ),
        (
            lambda: VAE(features=3, latent=2, encoder=torch.nn.Linear(4, 4)),
            "encoder: expected .*cannot take it",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


class Counted(ProbabilisticModel):
    """A Poisson latent for each row, with a guide that is not reparameterised."""

    joint = "p(k) p(x | k)"
    approximation = "q(k | x)"

    def __init__(self):
        super().__init__()
        self.log_rate = torch.nn.Parameter(torch.tensor(0.5))

    def model(self, n):
        with pyro.plate("data", n):
            k = pyro.sample("k", dist.Poisson(torch.full((n,), 2.0)))
            pyro.sample("x", dist.Normal(k, 1.0))

    def guide(self, n, x):
        with pyro.plate("data", n):
            pyro.sample("k", dist.Poisson(self.log_rate.exp() * torch.ones(n)))


def test_score_function_gradients_grow_with_the_scale_of_the_rows_once():
    """On the same draws the gradient at scale 10 is 10 times the one at scale 1, not 100 times."""
    model, x = Counted(), torch.tensor([9.0, 12.0])

    def gradients(scale):
        torch.manual_seed(0)
        values = [elbo(model.model, model.guide, {"n": 2, "x": x}, {"x": x}, scale) for _ in range(20)]
        return torch.stack([torch.autograd.grad(value, model.log_rate)[0] for value in values])

    with isolated(0, grad=True):
        once, tenfold = gradients(1.0), gradients(10.0)
    assert once.abs().min() > 0
    torch.testing.assert_close(tenfold, 10 * once, rtol=1e-5, atol=0)


class Module(pyro.nn.PyroModule):
    """A guide as Pyro's users write it, made outside of any context of ours."""

    def __init__(self):
        super().__init__()
        self.loc = pyro.nn.PyroParam(torch.tensor(0.0))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self):
        return pyro.sample("mu", dist.Normal(self.dropout(self.loc + 1.0), 0.01))


class Mean(ProbabilisticModel):
    """One unknown mean."""

    joint = "p(mu) p(x | mu)"

    def model(self, n):
        mu = pyro.sample("mu", dist.Normal(torch.tensor(0.0), 10.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, 1.0))


def test_a_pyro_module_is_a_guide_and_ends_in_evaluation_mode():
    posterior = fit(Mean(), SVI(steps=30, guide=Module()), x=[3.0, 4.0])
    assert posterior.draw(200, seed=0)["mu"].min() > 0.5  # dropout would put half of them near zero
    decoder = pyro.nn.PyroModule[torch.nn.Linear](2, 3)
    assert torch.isfinite(
        fit(VAE(features=3, latent=2, decoder=decoder), SVI(steps=3), x=torch.ones(4, 3)).elbo
    ).all()


@pytest.mark.parametrize("steps", [1, 50])
def test_the_state_kept_is_one_whose_elbo_was_finite(steps):
    model, _, data = FITS["mixture"]
    with pytest.raises(NonFinite) as caught:
        fit(model, SVI(steps=steps, learning_rate=1e6), **data)
    kept = caught.value.posterior
    assert all(torch.isfinite(v).all() for v in kept.draw(20, seed=0).values())
    assert np.isfinite(kept.estimate_elbo(3)[0])


def test_a_shared_code_that_was_summed_out_is_not_answered_from_its_prior():
    class Switch(ProbabilisticModel):
        joint = "p(k) p(mu) p(x | k, mu)"
        approximation = "q(mu)"

        def __init__(self):
            super().__init__()
            self.loc = torch.nn.Parameter(torch.tensor(0.0))

        def model(self, n):
            k = pyro.sample("k", dist.Bernoulli(0.5))
            mu = pyro.sample("mu", dist.Normal(torch.tensor(0.0), 1.0))
            with pyro.plate("data", n):
                pyro.sample("x", dist.Normal(mu + 5 * k, 1.0))

        def guide(self):
            pyro.sample("mu", dist.Normal(self.loc, 0.5))

    posterior = fit(Switch(), SVI(steps=3), x=[5.0, 5.1])
    for question in ("p(k)", "p(x)", "p(mu)"):
        with pytest.raises(Unanswerable, match="'k' is shared by all rows and was summed out of the fit"):
            ask(posterior, question)
