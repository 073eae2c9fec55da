"""The optimisers' rules are torch's own, to the last digits."""

from functools import partial

import pytest
import torch

from ppl_gen.inference.updates import update_of

RULES = {
    "Adam": torch.optim.Adam,
    "Adam with decay": partial(torch.optim.Adam, weight_decay=0.1, betas=(0.8, 0.95), eps=1e-4),
    "AdamW": torch.optim.AdamW,
    "SGD": torch.optim.SGD,
    "SGD with decay": partial(torch.optim.SGD, weight_decay=0.1),
    "momentum": partial(torch.optim.SGD, momentum=0.9, dampening=0.2),
    "Nesterov": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", RULES)
def test_equals_torch(name, dtype):
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(50, generator=generator, dtype=dtype).requires_grad_()
    optimiser = RULES[name]([w], lr=0.1)
    rule = update_of(optimiser)
    ours = w.detach().clone()
    start, states = ours, rule.state_of(optimiser, w)
    for done in range(30):
        lr = optimiser.param_groups[0]["lr"] = 0.1 / (1 + done)
        w.grad = torch.randn(50, generator=generator, dtype=dtype)
        c = torch.tensor(rule.coefficients(done, lr), dtype=dtype)
        ours, *states = rule.step(ours, w.grad, states, c)
        optimiser.step()
    assert not torch.allclose(start, ours)
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(ours, w.detach(), rtol=20 * eps, atol=20 * eps)
    for state, theirs in zip(states, rule.state_of(optimiser, w), strict=True):
        torch.testing.assert_close(state, theirs, rtol=20 * eps, atol=20 * eps)


@pytest.mark.parametrize(
    "unusual",
    [torch.optim.RMSprop, partial(torch.optim.Adam, amsgrad=True), partial(torch.optim.SGD, maximize=True)],
)
def test_what_is_not_here_is_left_to_torch(unusual):
    assert update_of(unusual([torch.zeros(1, requires_grad=True)], lr=0.1)) is None
