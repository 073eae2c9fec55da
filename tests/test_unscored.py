"""Joints known up to a constant, and implicit ones: what they refuse, and how they are declared."""

import pytest
import torch

from ppl_gen import SVI, ask, fit, log_evidence, predictive_check
from ppl_gen.errors import NoDensity, NoSampler, NotationError
from ppl_gen.notation import read_potentials
from tests.broken_models.students_guides import Energy
from tests.sound_models import Constrained, Generator, Tilted

X = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("cls", [Energy, Tilted])
def test_an_unnormalised_joint_is_neither_drawn_nor_scored(cls):
    model = cls()
    assert str(model) == "p(x) exp(energy(x)) / Z"
    assert "energy" in repr(model)
    assert "<svg" in model._repr_html_()
    words = r"is p\(x\) exp\(energy\(x\)\) / Z, known only up to a constant"
    for question in (
        lambda: ask(model, "p(x)").sample(2),
        lambda: ask(model, "p(x)").log_prob(x=X),
        lambda: log_evidence(model, x=X),
        lambda: predictive_check(model, draws=20, x=X),
    ):
        with pytest.raises(NoSampler, match=words):
            question()
    with pytest.raises(NoSampler, match=r"constant Z depends on what is learned|known only"):
        fit(model, SVI(steps=2, progress=False), x=X)


def test_an_implicit_model_draws_and_has_no_density():
    model = Generator()
    assert ask(model, "p(x)").sample(5).shape == (5, 3)
    for question in (
        lambda: ask(model, "p(x)").log_prob(x=X),
        lambda: ask(model, "p(z | x)", x=X).sample(2),
        lambda: log_evidence(model, x=X),
    ):
        with pytest.raises(NoDensity, match=r"Generator is p\(z\) p\(x \| z\): it draws 'x', but gives"):
            question()
    with pytest.raises(NoDensity, match="Bayes' rule learns nothing from data of 'x'"):
        fit(model, SVI(steps=2, progress=False), x=X)


def test_a_potential_of_latents_alone_is_fitted():
    """Data of a potential's variables are refused; data that no potential looks at are not."""
    posterior = fit(Constrained(), SVI(steps=2, progress=False), x=[1.0, 2.0, 3.0])
    assert torch.isfinite(posterior.elbo).all()


def test_the_line_of_potentials():
    assert read_potentials("") == {}
    assert read_potentials(" energy( x ) bond(x,z) ") == {"energy": {"x"}, "bond": {"x", "z"}}
    with pytest.raises(NotationError, match=r"at 'energy\(x'"):
        read_potentials("energy(x")
    with pytest.raises(NotationError, match="'f' stands twice"):
        read_potentials("f(x) f(z)")
