"""Keeping a climb: one that was cut short goes on where it stood, to the very bits it would have reached.

A fit is a function of its arguments, so a checkpoint is no argument of its own: the same line again resumes,
and any other line is refused.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ppl_gen import ranks
from ppl_gen.errors import ForeignFile, NotSaved
from ppl_gen.inference.checkpoints import CHECKPOINT, Checkpoint, Folder
from ppl_gen.inference.identity import told
from ppl_gen.inference.signals import users_line
from ppl_gen.inference.states import (
    decode,
    encode,
    optimiser_state,
    random_states,
    set_optimiser_state,
    set_random_states,
)
from ppl_gen.inference.steps import Steps
from ppl_gen.isolation import isolated

SHARE = 50  # of the time between two checkpoints, what writing one may take: a fiftieth
REMEDY = (
    "With the same arguments it resumes; for this fit name another folder, or take the checkpoints out of it."
)


class Keeper:
    """Keeps one climb: reads where it stood, writes where it stands. Without a place it does neither.

    Args:
        place: where and how often.
        about: what the fit is a fit of, called if there is a place.
        steps: the parameters on their way.
        elbo, beside: the climb's histories, which `resume` fills.
    """

    def __init__(
        self,
        place: Checkpoint | None,
        about: Callable[[], Mapping[str, str]],
        steps: Steps,
        elbo: list[float],
        beside: list[float],
    ):
        self.place, self.steps, self.elbo, self.beside = place, steps, elbo, beside
        self.note: str | None = None  # the climb's, once it is done
        self.due = math.inf
        self._state: dict[str, Any] | None = None
        if place is not None:
            self.folder = Folder(place.folder)
            self.about = {**about(), "the number of processes": f"{ranks.count()}"}

    def resume(self, rows: Callable[[int], Iterator[Any]], first: Any) -> tuple[Any, Iterator[Any]]:
        """Go to where the newest checkpoint stood.

        Args:
            rows: those of the steps from a given one on.
            first: of the first step, looked at before.

        Returns:
            The rows of the last step that was done, else ``first``, and those of the steps to come.

        Raises:
            DamagedFile, ForeignFile, NewerFile, DataError: there is something else.
        """
        found = ranks.first(self._newest) if self.place else None
        if found is None:
            return first, rows(0)
        path, document, tensors = found
        step = len(tensors["elbo"])
        ahead = rows(max(step - 1, 0))
        last = next(ahead) if step else first
        if document["rows"] != _places(last):
            raise ForeignFile(
                f"{path}: the rows come in another order than when it was written; give their source a fixed "
                f"seed, or start afresh in another folder"
            )
        try:
            self._fill(document, tensors)
        except Exception as error:  # the digest is right, so the fit is another
            raise ForeignFile(f"{path}: it does not fit this model and guide: {error}") from error
        found_now = self._probe(last)
        if not _near(document["probe"], found_now, self.steps.objective.parameters[0].dtype):
            raise ForeignFile(
                f"{path}: the program of the model or of the guide has changed: where it stood the ELBO "
                f"was {document['probe']:,.6f} nats, and is {found_now:,.6f} now. {REMEDY}"
            )
        self.folder.kept = [path]
        return last, ahead

    def start(self, last: Any) -> None:
        """Right before the steps: draw on as the checkpoint would have, or write the first.

        Raises:
            OSError: it cannot be written.
        """
        if self._state is not None:
            set_random_states(self._own["random"])
            pairs = zip(self.steps.before[0], self._state["before"], strict=True)
            own = tuple(torch.empty_like(w).copy_(saved) for w, saved in pairs)
            self.steps.before = (own, self.steps.before[1])
        elif self.place is not None:
            self._write(last)
        self._plan(0.0)

    @property
    def due_step(self) -> float:
        """The number of steps after which the next checkpoint is due, where steps are counted."""
        return self.due if self._by_steps else math.inf

    @property
    def late(self) -> bool:
        """Whether it is time, by the clock of this process."""
        return not self._by_steps and self.due <= time.monotonic()

    def look(self, last: Any, late: bool) -> None:
        """After a step: write a checkpoint if it is time.

        Args:
            last: the rows of that step.
            late: whether it is by the clock; of several processes, for one of them.
        """
        if late or (self._by_steps and self.due <= len(self.elbo)):
            self.write(last)

    @property
    def _by_steps(self) -> bool:
        return self.place is not None and self.place.steps is not None

    def write(self, last: Any, note: str | None = None) -> str:
        """Write a checkpoint, the last one of the climb with its note; a text tells where.

        What cannot be written is warned of: the fit goes on, and what was there stays.
        """
        if self.place is None:
            return ""
        self.note = note
        begun = time.monotonic()
        try:
            self._write(last)
        except (OSError, TypeError) as error:
            there = f"; {self.folder.kept[-1].name} is as it was" if self.folder.kept else ""
            warnings.warn(f"checkpoint: {error}{there}", NotSaved, stacklevel=users_line())
        self._plan(time.monotonic() - begun)
        return self.where

    @property
    def where(self) -> str:
        """Where the same fit would go on from, in words."""
        kept = self.folder.kept if self.place else []
        return f"the same fit goes on from {kept[-1]}" if kept else ""

    def _plan(self, took: float) -> None:
        if self.place is None:
            return
        if self.place.steps:
            self.due = len(self.elbo) + self.place.steps
        else:
            self.due = time.monotonic() + max(self.place.seconds, SHARE * took)

    def _newest(self) -> tuple[Path, dict[str, Any], dict[str, Tensor]] | None:
        """The newest checkpoint, if it is of this fit: the first process reads for all."""
        found = self.folder.newest()
        if found:
            self._compare(found[0], found[1]["about"])
        return found

    def _write(self, last: Any) -> None:
        """What all share is the first process's to write, with what each has of its own."""
        self.steps.store()
        modules = self.steps.objective.modules
        buffers = {} if ranks.main() else {name: b.cpu() for name, b in modules.named_buffers()}
        own = ranks.objects({"random": random_states(), "buffers": buffers})
        rows, probe = _places(last), self._probe(last)
        self.folder.kept = ranks.first(lambda: self._written(own, rows, probe))

    def _written(self, own: list[dict[str, Any]], rows: str, probe: float) -> list[Path]:
        objective, tensors = self.steps.objective, dict[str, Tensor]()
        mine = dict(objective.modules.named_buffers())
        for each in own:  # running means differ, where a process sees rows of its own
            each["buffers"] = {k: b for k, b in each["buffers"].items() if not torch.equal(b, mine[k].cpu())}
        state = {"own": own, "optimiser": optimiser_state(self.steps.optimiser)}
        document = {
            "about": self.about,
            "rows": rows,
            "probe": probe,
            "done": objective.done,
            "note": self.note,
            "state": encode({**state, "before": list(self.steps.before[0])}, tensors, "state"),
        }
        tensors |= {f"module.{name}": t for name, t in _tensors(objective.modules).items()}
        tensors |= {
            "elbo": torch.tensor(self.elbo, dtype=torch.float64),
            "beside": torch.tensor(self.beside, dtype=torch.float64),
        }
        self.folder.write(len(self.elbo), CHECKPOINT.packed(document, tensors))
        return self.folder.kept

    @property
    def _own(self) -> dict[str, Any]:
        """What this process has beside what all share, of the checkpoint."""
        assert self._state is not None
        own: dict[str, Any] = self._state["own"][ranks.world().rank]
        return own

    def _probe(self, last: Any) -> float:
        """One value of what is climbed, at the same draws every time: it tells one program from another."""
        modules = self.steps.objective.modules
        held = {name: value.clone() for name, value in modules.named_buffers()}  # such as running means
        with isolated(0):
            value = self.steps.objective.climbed(last.batch, last.scale)[1].item()
            for name, buffer in modules.named_buffers():
                if not torch.equal(buffer, held[name]):
                    buffer.copy_(held[name])
        return float(ranks.total(float(value)))

    def _compare(self, path: Path, about: Mapping[str, str]) -> None:
        names = [*about, *(name for name in self.about if name not in about)]
        other = [name for name in names if about.get(name) != self.about.get(name)]
        if not other:
            return
        words = (
            f"{name} is {about.get(name, 'missing')} there, and {self.about.get(name, 'missing')} here"
            for name in other
        )
        raise ForeignFile(f"{path}: it is of another fit: {'; '.join(islice(words, 3))}. {REMEDY}")

    def _fill(self, document: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Set the modules, the optimiser and the histories."""
        self.note, self._state = document["note"], decode(document["state"], tensors)
        self.steps.objective.done = document["done"]
        with torch.no_grad():
            for name, tensor in _tensors(self.steps.objective.modules).items():
                saved = self._own["buffers"].get(name, tensors[f"module.{name}"])
                if saved.shape != tensor.shape or saved.dtype != tensor.dtype:
                    raise ValueError(f"{name} is {tuple(saved.shape)} there, and {tuple(tensor.shape)} here")
                if not torch.equal(tensor, saved.to(tensor.device)):
                    tensor.copy_(saved)
        set_optimiser_state(self.steps.optimiser, self._state["optimiser"])
        self.elbo += tensors["elbo"].tolist()
        self.beside += tensors["beside"].tolist()
        self.steps.done = len(self.elbo)


def _places(rows: Any) -> str:
    """The places of a step's rows in words; of several processes those of each."""
    return "; ".join(ranks.texts(told(rows.places)))


def _tensors(modules: torch.nn.Module) -> dict[str, Tensor]:
    return {**dict(modules.named_parameters()), **dict(modules.named_buffers())}


def _near(a: float, b: float, dtype: torch.dtype) -> bool:
    """Equal up to rounding, which other threads and machines do otherwise; both may be not finite."""
    rtol = 1e-9 if dtype == torch.float64 else 1e-4
    return math.isclose(a, b, rel_tol=rtol, abs_tol=rtol) or not (math.isfinite(a) or math.isfinite(b))
