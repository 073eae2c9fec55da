"""The step of SVI, shared by several processes: each differentiates its rows, and all make one update.

As under DistributedDataParallel every process has all parameters, the gradients are averaged by one
all-reduce, and each then makes the same update. DistributedDataParallel itself hangs on the nodes of autograd
that add a gradient to a module's parameter; a step that was captured as a graph, replayed or compiled has
none, so the same collective is called here, after it. A test holds the two equal.

Reference: Li et al. 2020, PyTorch distributed: experiences on accelerating data parallel training.
"""

from typing import Any

import torch

from ppl_gen import ranks
from ppl_gen.core import is_local
from ppl_gen.errors import DataError, NonFinite
from ppl_gen.inference.elbo import delta
from ppl_gen.inference.graphs import Tensors
from ppl_gen.inference.objective import Objective
from ppl_gen.inference.observed import enumerates
from ppl_gen.inference.steps import Steps, clipped

NOWHERE = ("elbo", "gradient")  # sites of those who found nothing wrong with their own rows


class SharedSteps(Steps):
    """Steps on the mean of what every process finds.

    Each process weighs its rows by the number of processes (`ranks.part`), so the mean is the objective of
    the whole batch, however unevenly its rows are dealt out.

    Where the guide draws nothing of a row's own, all draw the same: the fit is that of one process but for
    the order of sums. Where it does, each has a stream of its own, a function of seed, rank and step: the
    gradient is as unbiased as in one process, and no noisier, and the fit is equal in distribution.
    """

    own_noise = False

    def __init__(self, objective: Objective, optimiser: Any, clip: float | None, seed: int = 0):
        ranks.start_alike(objective.modules)
        super().__init__(objective, optimiser, None, seed)
        self.longest = clip  # of the mean, which no process knows by itself
        if objective.free_bits:
            raise DataError(
                f"free_bits: expected 0 in {ranks.count()} processes, since what is free is counted over all "
                f"rows of a batch, got {objective.free_bits:g}"
            )

    def speed_up(self, batch: Any, scale: float, whole: bool, steps: int, choice: bool | str) -> str:
        """As `Steps.speed_up`; the update stays outside, after the others were heard."""
        self.own_noise = self._draws_rows(batch)
        self._draw_anew(self.done)
        return super().speed_up(batch, scale, whole, steps, choice)

    def _draws_rows(self, batch: Any) -> bool:
        """Whether the guide draws something of a row's own; a bare pair may, for all that is known."""
        if batch is None:
            return True
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            t = self.objective.terms(batch)
        if any(enumerates(site) and not is_local(site) for site in t.p.values()):
            raise DataError(
                "a variable that all rows share is summed out: its sum is over all rows together, which "
                "several processes cannot part. Fit in one process, or add a factor of it to the guide"
            )
        return any(is_local(site) and not enumerates(site) and not delta(site) for site in t.q.values())

    def _draw_anew(self, step: int) -> None:
        if self.own_noise:
            torch.manual_seed(((self.seed * 1_000_003 + ranks.world().rank) * 1_000_003 + step) % 2**63)

    def told(self, found: Tensors) -> Tensors:
        self._draw_anew(self.done + 1)
        wishes = torch.tensor(self.wish()).to(found[0])
        report, *gradients = ranks.averaged((torch.cat([found[0], wishes]), *found[1:]))
        report, wishes = report[: len(found[0])], report[len(found[0]) :]
        self.heard = (wishes > 0).tolist()
        if self.longest is not None:
            gradients = clipped(gradients, self.longest)
        return (report, *gradients)

    def gradients(self, batch: Any, scale: float) -> Tensors:
        return tuple(ranks.averaged(super().gradients(batch, scale)))

    def _include_update(self) -> None:
        pass


def blamed(error: NonFinite) -> NonFinite:
    """Of what every process found to blame, the first that is to the point."""
    found = [text.split("\n", 1) for text in ranks.texts(f"{error.site}\n{error}")]
    site, message = next((each for each in found if each[0] not in NOWHERE), found[0])
    return NonFinite(message, step=error.step, site=site)
