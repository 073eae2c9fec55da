"""lint names each mistake of the table, and is silent on the pair written rightly, and on sound ones."""

import inspect
import random
import re
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from torch.distributions import Distribution

import ppl_gen.linting
from ppl_gen import fit, lint, models
from ppl_gen.core import ProbabilisticModel, dtype_of, is_local, run, variables
from ppl_gen.errors import BrokenModel, DataError, NotGenerated, UnknownVariable
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes, LogisticRegression
from ppl_gen.notation import Factorization
from ppl_gen.testing import check_model
from tests.broken_models.densities import Flattened, Halves
from tests.linting.cases.base import about_centre, centre, data
from tests.linting.cases.catalogue import PAIRS
from tests.linting.sound import SOUND
from tests.linting.styles import STYLES
from tests.readme import VARIANTS, example

SOURCE = "".join(p.read_text() for p in Path(ppl_gen.linting.__file__).parent.glob("*.py"))


@pytest.fixture(autouse=True)
def _clean():
    """The mistakes of some cases are of the whole process."""
    pyro.clear_param_store()
    yield
    pyro.clear_param_store()
    pyro.enable_validation(True)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: p.make.__name__)
def test_names_the_mistake(pair):
    found = lint(*pair.make(False))
    assert pair.code in found.codes, found
    assert found.ok == (pair.code == "latent-unused"), "a note is no mistake"
    assert len(found) <= 3, "one mistake, and what cannot be told from it"


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: p.make.__name__)
def test_is_silent_once_the_mistake_is_mended(pair):
    found = lint(*pair.make(True))
    assert not found.found, found
    assert re.fullmatch(r"no mistake found \(\d+ checks\)", str(found))


def test_a_model_without_a_guide_is_summed_out_and_followed_as_well():
    class Detached(ProbabilisticModel):
        joint = "p(w) p(x | w)"

        def model(self, n):
            w = pyro.sample("w", dist.Normal(0.0, 1.0))
            with pyro.plate("data", n):
                pyro.sample("x", dist.Normal(w.detach(), 1.0))

    x = torch.tensor([-2.0, 2.0])
    assert lint(Flattened(), x=x).codes == ["enumeration-shape"]
    assert lint(Detached(), x=x).codes == ["cut-gradient"]
    assert lint(Halves(), x=x).ok


@pytest.mark.parametrize("name", SOUND)
def test_is_silent_on_sound_pairs(name):
    assert not lint(*SOUND[name]).found, lint(*SOUND[name])


@pytest.mark.parametrize("name", STYLES)
def test_is_silent_on_sound_programs_of_other_styles(name):
    assert not lint(*STYLES[name]).found, lint(*STYLES[name])


def test_the_table_is_large_and_of_real_threads():
    threads = {pair.source for pair in PAIRS if "#" in pair.source}
    assert len(PAIRS) >= 80
    assert len(threads) >= 40


def test_every_code_is_in_the_table():
    codes = set(re.findall(r'Finding\(\s*"([a-z-]+)"', SOURCE)) | set(
        re.findall(r'code = "([a-z-]+)"', SOURCE)
    )
    assert codes == {pair.code for pair in PAIRS}


PROJECT = [
    (name, options) for name in models.__all__ for options in ({}, VARIANTS.get(name)) if options is not None
]


def drawn(model, n=12):
    """Inputs and one draw of what the rows of a model generate."""
    line = Factorization(model.joint)
    given = {k: torch.arange(n) % 2 if k == "y" else torch.rand(n, 2).to(dtype_of(model)) for k in line.given}
    with torch.no_grad():
        nodes = variables(run(model.model, {**given, "n": n})).items()
    rows = {k: node["value"] for k, node in nodes if is_local(node) and k in ("x", "y")}
    return given, rows


@pytest.mark.parametrize(("name", "options"), PROJECT)
def test_is_silent_on_every_model_of_the_project(name, options):
    torch.manual_seed(0)
    model = example(getattr(models, name), **options)
    given, rows = drawn(model)
    assert not lint(model, None, **given, **rows).found, lint(model, None, **given, **rows)
    assert lint(model, None, **given).ok
    if rows.keys() == {"x", "y"}:
        assert lint(model, None, **given, x=rows["x"]).ok


def test_is_silent_on_missing_cells_that_a_model_sums_out():
    model = GaussianNaiveBayes(classes=2, features=2)
    _, rows = drawn(model)
    rows["x"][3, 1] = float("nan")
    assert lint(model, None, **rows).ok


class Sharp(ProbabilisticModel):
    """A declared model with a guide to break."""

    joint = "p(mu) p(x | mu)"
    approximation = "q(mu)"

    def __init__(self):
        super().__init__()
        self.loc = torch.nn.Parameter(torch.zeros(()))
        self.scale = torch.nn.Parameter(torch.ones(()))

    def model(self, n):
        mu = pyro.sample("mu", dist.Exponential(torch.ones(())))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, 1.0))

    def guide(self):
        pyro.sample("mu", dist.Normal(self.loc, self.scale))


def test_declared_models_have_mistakes_too():
    assert set(lint(Sharp(), None, x=data()).codes) == {"support", "unbounded-parameter"}
    mended = lint(Sharp(), lambda: pyro.sample("mu", dist.Gamma(torch.tensor(2.0), 1.0)), x=data())
    assert "support" not in mended.codes


class Closed(Sharp):
    """Holds its data itself."""

    def __init__(self, x):
        super().__init__()
        self.register_buffer("x", x)

    def model(self, n):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 1.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=self.x[:n])

    def guide(self):
        pyro.sample("mu", dist.Normal(self.loc, 1.0))


def test_data_inside_a_declared_model_are_found_and_refused():
    model = Closed(data())
    for given in ({}, {"x": data(seed=1)}):
        [finding] = lint(model, None, **given)
        assert (finding.code, finding.site) == ("data-in-model", "x")
        with pytest.raises(BrokenModel, match="data are inside"):
            check_model(model, **given)
    with pytest.raises(BrokenModel, match=r"Closed.model\(\) observes 'x' by itself .* fit\(model, x=…\)"):
        fit(model, x=data(seed=1))


def test_a_note_is_printed_and_is_no_mistake():
    [pair] = [p for p in PAIRS if p.code == "latent-unused"]
    found = lint(*pair.make(False))
    assert str(found).startswith("no mistake found and 1 note (")
    assert "<code>latent-unused</code>" in found._repr_html_()
    assert not found.errors


def test_obs_forgotten_is_noted_without_a_guide():
    def model(x, y):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(w * x, 1.0))

    found = lint(model, None, data(), data(seed=1))
    assert [(f.code, f.site, f.severity) for f in found] == [("obs-forgotten", "y", "note")]
    assert lint(lambda n: model(torch.zeros(n), None), None, 3).codes == []


@pytest.mark.parametrize("rows", [40, 120, 500, 1000, 1200])
@pytest.mark.parametrize("taken", [False, True])
def test_the_advice_on_a_subsample_is_right(rows, taken):
    """The mend that is told, once made, leaves nothing to tell."""

    def program(size, most, index):
        def model(x):
            mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
            with pyro.plate("rows", size or len(x), subsample_size=most or len(x)) as drawn:
                pyro.sample("x", dist.Normal(mu, 1.0), obs=x[drawn] if index else x)

        return model

    found = lint(program(1000, 120, taken), about_centre, data(rows))
    if found.ok:
        # a loader's 120 rows; and all rows, from which the plate draws
        assert (rows, taken) in [(120, False), (1000, True)]
        return
    [finding] = found
    size = 1000 if '"rows", 1000' in finding.fix else None
    most = int(n[1]) if (n := re.search(r"subsample_size=(\d+)", finding.fix)) else None
    index = "y[rows]" in finding.fix or (taken and "len(x)" in finding.fix.partition(";")[0])
    assert lint(program(size, most, index), about_centre, data(rows)).ok, finding


def test_declared_models_take_other_guides():
    model = Sharp()
    with pytest.raises(NotGenerated):
        lint(LogisticRegression(classes=2, features=2), None, y=[0, 1])
    assert lint(model, AutoNormal(model.model), x=data()).codes == []


def test_a_finding_says_what_where_and_how():
    found = lint(centre, about_centre, data()[:, None])
    [finding] = found.found
    assert finding.site == "x"
    assert re.fullmatch(r"base\.py:\d+", finding.place)
    line = Path(__file__).parent / "cases" / "base.py"
    number = int(finding.place.partition(":")[2])
    assert "pyro.sample" in line.read_text().splitlines()[number - 1]
    text = str(found)
    assert text.startswith("1 error (")
    assert "[broadcast]" in text
    assert "\n    where  base.py:" in text
    assert "\n    fix    " in text
    html = found._repr_html_()
    assert "<table>" in html
    assert "broadcast" in html
    assert "no mistake found" in lint(centre, about_centre, data())._repr_html_()
    assert found.errors == found.found
    assert list(found) == [finding]


def lines_of(program, text):
    """The places of a function's lines that hold the text."""
    lines, first = inspect.getsourcelines(program)
    return [f"{Path(__file__).name}:{first + i}" for i, line in enumerate(lines) if text in line]


@pytest.mark.parametrize("plate", [True, False])
def test_a_shape_of_the_guides_is_told_of_the_guide(plate):
    """On the guide's twenty draws of mu, the model is what it was."""

    def guide(x):
        loc = pyro.param("loc", torch.zeros(() if plate else 20))
        scale = pyro.param("scale", torch.tensor(1.0), constraint=dist.constraints.positive)
        with pyro.plate("rows", len(x)) if plate else nullcontext():
            pyro.sample("mu", dist.Normal(loc, scale))

    [finding] = lint(centre, guide, data())
    assert (finding.code, finding.site) == ("plates-differ" if plate else "guide-shape", "mu")
    assert [finding.place] == lines_of(guide, "pyro.sample")
    assert "guide" in finding.fix
    assert "in the model has" not in finding.wrong


@pytest.mark.parametrize("part", ["model", "guide"])
def test_a_factor_of_rows_is_refused_as_pyro_does(part):
    """By its ELBOs; summed, which is the mend that is told, it has no fault."""

    def terms(x, added):
        found = dist.Normal(0.0, 1.0).log_prob(x)
        pyro.factor("terms", found.sum() if added else found, has_rsample=True)

    def of(program, added):
        return lambda x: (terms(x, added), program(x))[1]

    def pair(added):
        sides = {"model": centre, "guide": about_centre}
        sides[part] = of(sides[part], added)
        return sides["model"], sides["guide"]

    [finding] = lint(*pair(False), data())
    assert (finding.code, finding.site) == ("factor-rows", "terms")
    assert [finding.place] == lines_of(terms, "pyro.factor")
    assert ".sum()" in finding.fix
    with pyro.validation_enabled(), pytest.raises(ValueError, match="invalid log_prob shape"):
        Trace_ELBO().loss(*pair(False), data())
    assert "factor-rows" not in lint(*pair(True), data()).codes


def test_errors_stand_before_warnings():
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("rows", 20):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    def guide(x):
        pyro.sample(
            "mu", dist.Normal(pyro.param("loc", torch.tensor(0.0)), pyro.param("s", torch.tensor(1.0)))
        )

    found = lint(model, guide, data())
    assert [f.severity for f in found] == ["error", "warning"]
    assert str(found).startswith("1 error and 1 warning (")


def test_gradients_switched_off_outside():
    with torch.no_grad():
        found = lint(centre, about_centre, data())
    assert found.codes == ["no-grad"]


def test_the_callers_own_mistakes_are_errors():
    with pytest.raises(DataError, match=r"model: expected a Pyro program, got the class VAE; make one"):
        lint(VAE)
    with pytest.raises(DataError, match="guide: expected a Pyro program, got int"):
        lint(centre, 3, data())
    with pytest.raises(UnknownVariable, match="'rows'"):
        lint(GaussianMixture(components=2, features=2), None, rows=data(8, 2))


def everything():
    return (
        torch.get_rng_state().numpy().tobytes(),
        str(np.random.get_state()),
        random.getstate(),
        torch.get_default_dtype(),
        Distribution._validate_args,
        pyro.settings.get(),
        torch.is_grad_enabled(),
        {name: value.tolist() for name, value in pyro.get_param_store().items()},
    )


@pytest.mark.parametrize("name", ["store_cleared_in_the_guide", "data_centred_in_place", "seed_in_the_guide"])
def test_leaves_no_trace(name):
    [pair] = [p for p in PAIRS if p.make.__name__ == name]
    model, guide, *args = pair.make(False)
    pyro.param("mu_loc", torch.tensor(3.0))
    before, kept = everything(), args[0].clone()
    lint(model, guide, *args)
    assert everything() == before
    assert torch.equal(args[0], kept)


def test_automatic_guides_and_modules_are_left_alone():
    guide = AutoNormal(centre)
    lint(centre, guide, data())
    assert guide.prototype_trace is None
    assert not list(guide.parameters())
    vae = SOUND["VAE"][0].__self__
    state = {name: w.clone() for name, w in vae.state_dict().items()}
    lint(vae.model, vae.guide, SOUND["VAE"][2])
    assert all(torch.equal(w, state[name]) for name, w in vae.state_dict().items())
    assert all(w.grad is None for w in vae.parameters())


def test_trained_parameters_are_looked_at_as_they_are():
    pyro.param("mu_loc", torch.tensor(0.0))
    pyro.param("mu_scale", torch.tensor(2.0), constraint=dist.constraints.positive)
    assert lint(centre, about_centre, data()).ok
    assert pyro.param("mu_scale").item() == pytest.approx(2.0)
