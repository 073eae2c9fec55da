"""The No-U-Turn sampler: draws by Hamiltonian Monte Carlo, an oracle for the other methods."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyro
import torch
from pyro.infer.mcmc import MCMC
from torch import Tensor, nn

from ppl_gen import ranks
from ppl_gen.checks import whole
from ppl_gen.core import ProbabilisticModel, Program
from ppl_gen.errors import Interrupted, Unanswerable, Unreliable
from ppl_gen.inference.devices import checked, computing, moved, ready
from ppl_gen.inference.guides import point
from ppl_gen.inference.method import Fitted
from ppl_gen.inference.mode import climbed
from ppl_gen.inference.recording_nuts import STATS, RecordingNUTS
from ppl_gen.inference.relabelling import renamed_draws
from ppl_gen.inference.unconstrained import Unconstrained
from ppl_gen.inputs import Data
from ppl_gen.progress import track


class Draws(nn.Module):
    """A guide that holds draws of every parameter, name -> (chains, draws, *shape), and draws one of them.

    ``stats`` are what the sampler tells of each transition (see `RecordingNUTS`), name -> (chains, draws).
    """

    def __init__(self, values: Mapping[str, Tensor], stats: Mapping[str, Tensor] | None = None):
        super().__init__()
        self.names, self.told = tuple(values), tuple(stats or {})
        for name, value in values.items():
            self.register_buffer(f"drawn_{name}", value)
        for name, value in (stats or {}).items():
            self.register_buffer(f"stat_{name}", value)

    @property
    def values(self) -> dict[str, Tensor]:
        """name -> (chains, draws, *shape)."""
        return {name: getattr(self, f"drawn_{name}") for name in self.names}

    @property
    def stats(self) -> dict[str, Tensor]:
        """name -> (chains, draws)."""
        return {name: getattr(self, f"stat_{name}") for name in self.told}

    @property
    def chains(self) -> int:
        """How many chains there are."""
        return len(next(iter(self.values.values())))

    @property
    def draws(self) -> int:
        """How many each chain has."""
        return int(next(iter(self.values.values())).shape[1])

    def forward(self, **_: Any) -> None:
        """Sample all parameters: one of the draws, each as likely."""
        index = int(torch.randint(self.chains * self.draws, ()))
        point({name: value.flatten(0, 1)[index] for name, value in self.values.items()})()

    def some(self, draws: int) -> dict[str, Tensor]:
        """``draws`` of them in random order, none twice before all came once: name -> (draws, *shape)."""
        total = self.chains * self.draws
        index = torch.cat([torch.randperm(total) for _ in range(-(-draws // total))])[:draws]
        return {name: value.flatten(0, 1)[index] for name, value in self.values.items()}

    def thinned(self, draws: int) -> list[dict[str, Tensor]]:
        """At most ``draws`` draws of each chain, evenly spaced, chain after chain."""
        index = spaced(self.draws, draws)
        kept = {name: value[:, index].flatten(0, 1) for name, value in self.values.items()}
        return [{name: v[i] for name, v in kept.items()} for i in range(self.chains * len(index))]

    def thinned_stats(self, draws: int) -> dict[str, Tensor]:
        """What the sampler tells of those draws: name -> (draws of all chains,)."""
        index = spaced(self.draws, draws)
        return {name: value[:, index].flatten() for name, value in self.stats.items()}


def spaced(total: int, draws: int) -> Tensor:
    """At most ``draws`` of the indices below ``total``, evenly spaced.

    >>> spaced(10, 4).tolist()
    [0, 2, 5, 7]
    """
    kept = min(draws, total)
    return torch.arange(kept) * total // kept


@dataclass(frozen=True)
class NUTS:
    """Draw from the posterior by the No-U-Turn sampler (Hoffman and Gelman 2014), chain after chain.

    Slow and right where it mixes: `to_arviz` has the chains, and ArviZ's r_hat and ess judge them.
    Discrete variables of a row are summed out. Draws have no density, so there is no ELBO.

    Args:
        draws, warmup: of each chain.
        chains: how many.
        device: where to compute, such as "cuda" [the CPU]; the draws come back to the CPU.
        seed: decides starts and draws.
        relabel: whether the components of a mixture are renamed alike in all draws, where no density tells
            them apart (see `relabelled`); the note says so.
        progress: whether to show a bar of the chains; None shows it in terminals and notebooks.

    >>> from ppl_gen import ask, fit
    >>> from ppl_gen.models import LinearRegression
    >>> x, y = [[0.], [1.], [2.], [3.]], [1.1, 2.9, 5.1, 6.9]
    >>> posterior = fit(LinearRegression(features=1), NUTS(draws=20, warmup=20, chains=1), x=x, y=y)
    >>> ask(posterior, "p(w)").sample(3).shape
    torch.Size([3, 2])
    """

    draws: int = 500
    warmup: int = 500
    chains: int = 4
    device: Any = None
    seed: int = 0
    relabel: bool = True
    progress: bool | None = None

    def __post_init__(self) -> None:
        for name in ("draws", "warmup", "chains"):
            whole(name, getattr(self, name))
        whole("seed", self.seed, least=0)
        if self.device is not None:
            object.__setattr__(self, "device", checked(self.device))

    def fit(self, start: ProbabilisticModel, guide: Any, data: Data, prior: Program | None = None) -> Fitted:
        """Draws in the place of a guide. Arguments are as in `SVI.fit`; a fit is never continued."""
        target = Unconstrained(start, guide, data, prior, "NUTS")
        try:
            mode = climbed(target, 200)
        except Unanswerable:  # a centred hierarchy has none, and chains need only a place to begin
            mode = target.start
        rank, size = ranks.world()  # several processes deal out the chains
        drawn, done = mode.new_zeros(self.chains, self.draws, len(mode)), 0
        told = mode.new_zeros(self.chains, self.draws, len(STATS), dtype=torch.float64)
        device, stopped = ready(self.device), ""
        try:
            for chain in track(range(rank, self.chains, size), "NUTS", self.progress, dict):
                pyro.set_rng_seed((self.seed * 1_000_003 + chain) % 2**32)
                begin = (mode + 0.1 * torch.randn_like(mode)).to(device)
                with computing((target.p, prior), device, None):
                    target.data = moved(data, device)
                    here, transitions = self._chain(target, begin)
                drawn[chain], told[chain], done = here.cpu(), transitions.cpu(), done + 1
        except KeyboardInterrupt:  # a chain is whole or nothing
            if not done or size > 1:
                raise
            stopped = f"stopped by hand after {done} of {self.chains} chains"
            warnings.warn(f"NUTS {stopped}, which are returned", Interrupted, stacklevel=4)
        drawn, told = ranks.total(drawn).to(mode), ranks.total(told)
        drawn, told = (drawn[:done], told[:done]) if stopped else (drawn, told)
        found = [[target.values(u) for u in chain] for chain in drawn]
        stats = {name: told[..., i].to(kind) for i, (name, kind) in enumerate(STATS.items())}
        divergent = int(stats["diverging"].sum())
        note = f"{len(found)} chains of {self.draws:,} draws; {divergent} divergent"
        if divergent:
            warnings.warn(
                f"NUTS: {note}: the draws may miss a part of the posterior", Unreliable, stacklevel=4
            )
        names = found[0][0]
        values = {k: torch.stack([torch.stack([d[k] for d in chain]) for chain in found]) for k in names}
        if self.relabel and prior is None:
            values, renamed = renamed_draws(target.p, data, values)
            note = "; ".join(filter(None, [note, renamed]))
        return Fitted(target.p, Draws(values, stats), torch.zeros(0, dtype=torch.float64), None, note)

    def _chain(self, target: Unconstrained, start: Tensor) -> tuple[Tensor, Tensor]:
        """Draws (draws, parameters) of one chain, and what is told of each (draws, stats)."""
        with torch.enable_grad():
            kernel = RecordingNUTS(potential_fn=lambda at: -target(at["u"]), full_mass=len(start) <= 50)
            chain = MCMC(
                kernel,
                num_samples=self.draws,
                warmup_steps=self.warmup,
                initial_params={"u": start},
                disable_progbar=True,
            )
            chain.run()
            (told,) = chain._diagnostics  # diagnostics() wants four draws, for what is of no use here
        stats = [torch.tensor(told[name], dtype=torch.float64) for name in STATS]
        return chain.get_samples()["u"], torch.stack(stats, -1)
