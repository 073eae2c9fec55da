"""What a batch norm remembers is that of the last good step, however a fit ends."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from ppl_gen import SVI, ProbabilisticModel, fit
from ppl_gen.errors import Interrupted, NonFinite
from ppl_gen.inference.buffers import Buffers

X = torch.randn(12, 2, generator=torch.Generator().manual_seed(0))


class Norms(ProbabilisticModel):
    """A regression behind a batch norm, whose rows turn to NaN once it has seen ``good`` steps."""

    joint = "p(w) p(y | x, w)"

    def __init__(self, good=10**9):
        super().__init__()
        self.norm, self.good = nn.BatchNorm1d(2), good
        self.register_buffer("fixed", torch.zeros(2))

    def model(self, x):
        w = pyro.sample("w", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        bad = self.norm.num_batches_tracked >= self.good
        x = torch.where(bad, torch.nan, x) + self.fixed
        with pyro.plate("data", len(x)):
            pyro.sample("y", dist.Normal(self.norm(x) @ w, 1.0, validate_args=False))


def moved(rows, times):
    """Means of a batch norm that has seen the rows so often."""
    norm = nn.BatchNorm1d(2)
    for _ in range(times):
        norm(rows)
    return norm.running_mean, norm.running_var, norm.num_batches_tracked


@pytest.fixture(scope="module")
def looks():
    """How often the norm has seen all rows before the first step."""
    counted, found = nn.BatchNorm1d.forward, []

    def forward(self, x):
        found.append(self.training)
        return counted(self, x)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.BatchNorm1d, "forward", forward)
        fit(Norms(), SVI(steps=1, schedule=lambda _: found.append("step") or 1.0), x=X, y=X[:, 0])
    return sum(found[: found.index("step")])


def same(posterior, expected):
    norm = posterior.model.norm
    found = norm.running_mean, norm.running_var, norm.num_batches_tracked
    assert [v.tolist() for v in found] == [v.tolist() for v in expected]


def test_a_step_that_is_not_finite_leaves_no_trace(looks):
    with pytest.raises(NonFinite, match="at step 5") as stopped:
        fit(Norms(good=looks + 5), SVI(steps=9), x=X, y=X[:, 0])
    same(stopped.value.posterior, moved(X, looks + 5))


def test_the_first_step_is_rolled_back_too(looks):
    with pytest.raises(NonFinite, match="at step 0") as stopped:
        fit(Norms(good=looks), SVI(steps=9), x=X, y=X[:, 0])
    same(stopped.value.posterior, moved(X, looks))


def test_a_fit_that_ends_has_seen_its_steps_alone(looks):
    same(fit(Norms(), SVI(steps=9), x=X, y=X[:, 0]), moved(X, looks + 9))


def test_a_fit_that_is_stopped_by_hand_too(looks):
    def press(done):
        if done == 0.5:
            raise KeyboardInterrupt
        return 1.0

    with pytest.warns(Interrupted, match="after 4 of 8 steps"):
        stopped = fit(Norms(), SVI(steps=8, schedule=press), x=X, y=X[:, 0])
    same(stopped, moved(X, looks + 4))


def test_what_does_not_change_is_not_copied():
    module = Norms()
    module.register_buffer("set", torch.zeros(1))
    buffers = Buffers(module)
    names = [name for _, name in buffers.places]
    module.norm(X)
    buffers.keep()
    copies = dict(zip(names, buffers.held, strict=True))
    module.norm(X)
    buffers.keep()
    again = dict(zip(names, buffers.held, strict=True))
    assert [name for name in names if copies[name] is not again[name]] == [
        "running_mean", "running_var", "num_batches_tracked",
    ]  # fmt: skip
    module.set = torch.ones(1)  # another tensor
    module.fixed += 1.0  # written to, later than in the first step
    buffers.keep()
    module.set, module.fixed[0] = torch.full((1,), torch.nan), torch.nan
    buffers.back()
    assert (module.set.tolist(), module.fixed.tolist()) == ([1.0], [1.0, 1.0])
