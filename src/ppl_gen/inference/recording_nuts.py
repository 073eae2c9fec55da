"""Pyro's No-U-Turn kernel, which also keeps what ArviZ asks about every transition."""

import math
from typing import Any

import torch
from pyro.infer.mcmc import NUTS

# The names of ArviZ's schema, and their types.
STATS = {
    "lp": torch.float64,  # log density of the draw in unconstrained space, in nats, up to a constant
    "energy": torch.float64,  # of the trajectory: minus lp at its start, and the kinetic energy drawn
    "diverging": torch.bool,
    "acceptance_rate": torch.float64,  # mean over the trajectory
    "tree_depth": torch.int64,  # doublings, the last one perhaps not whole
    "n_steps": torch.int64,  # of leapfrog
    "step_size": torch.float64,
}


class RecordingNUTS(NUTS):
    """`pyro.infer.mcmc.NUTS`, a kernel for Pyro's MCMC, that also tells of every transition after the warmup.

    The draws are those of Pyro's kernel. ``MCMC.diagnostics`` has, of every chain, the lists of STATS beside
    the divergences, also where chains run in processes of their own; `ppl_gen.to_arviz` puts them into
    sample_stats. Pyro's own kernel keeps neither energy nor depth.
    Reference: Betancourt 2016, Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo.

    >>> import pyro, pyro.distributions as dist
    >>> from pyro.infer import MCMC
    >>> chain = MCMC(RecordingNUTS(lambda: pyro.sample("z", dist.Normal(0., 1.))), 10, disable_progbar=True)
    >>> chain.run()
    >>> len(chain.diagnostics()["tree_depth"]["chain 0"])
    10
    """

    def _reset(self) -> None:
        super()._reset()
        self._told: list[tuple[float, ...]] = []

    def _build_basetree(self, *args: Any) -> Any:  # one step of leapfrog; the last argument is the energy
        leaf = super()._build_basetree(*args)
        self._leaves.append((float(args[-1]), bool(leaf.diverging), float(leaf.sum_accept_probs)))
        return leaf

    def sample(self, params: Any) -> Any:
        """One transition."""
        self._leaves: list[tuple[float, bool, float]] = []
        drawn = super().sample(params)
        if self._t > self._warmup_steps:  # sample has counted this one
            steps = len(self._leaves)
            energies, bad, accepted = zip(*self._leaves, strict=True) if steps else ((0.0,), (False,), (1.0,))
            lp = -float(self._potential_energy_last) if steps else 0.0
            rate, depth = sum(accepted) / len(accepted), math.ceil(math.log2(steps + 1))
            self._told.append((lp, energies[0], any(bad), rate, depth, steps, float(self.step_size)))
        return drawn

    def diagnostics(self) -> dict[str, Any]:
        """What Pyro's kernel tells, and a list for each of STATS."""
        columns = zip(*self._told, strict=True) if self._told else [()] * len(STATS)
        return {**super().diagnostics(), **dict(zip(STATS, map(list, columns), strict=True))}
