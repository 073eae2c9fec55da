"""Keeping a climb: one that was cut short goes on where it stood, to the very bits it would have reached.

A fit is a function of its arguments, so a checkpoint is no argument of its own: the same line again resumes,
and any other line is refused.
"""

import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ppl_gen.errors import DataError, ForeignFile, NotSaved
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
            together = torch.distributed.is_available() and torch.distributed.is_initialized()
            if together and torch.distributed.get_world_size() > 1:
                raise DataError("checkpoint: expected one process, got several that fit together")
            self.folder = Folder(place.folder)
            self.about = about()

    def resume(self, rows: Iterator[Any], first: Any, same: bool) -> Any:
        """Go to where the newest checkpoint stood; the rows of the last step that was done, else ``first``.

        Args:
            rows: of the steps to come, drawn up to there. same: whether they are the same in every step.

        Raises:
            DamagedFile, ForeignFile, NewerFile, DataError: there is something else.
        """
        if self.place is None:
            return first
        found = self.folder.newest()
        if found is None:
            return first
        path, document, tensors = found
        self._compare(path, document["about"])
        step = len(tensors["elbo"])
        drawn = deque(islice(rows, min(step, 1) if same else step), maxlen=1)
        last = drawn.pop() if drawn else first
        if document["rows"] != told(last.places):
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
        return last

    def start(self, last: Any) -> None:
        """Right before the steps: draw on as the checkpoint would have, or write the first.

        Raises:
            OSError: it cannot be written.
        """
        if self._state is not None:
            set_random_states(self._state["random"])
            pairs = zip(self.steps.before[0], self._state["before"], strict=True)
            own = tuple(torch.empty_like(w).copy_(saved) for w, saved in pairs)
            self.steps.before = (own, self.steps.before[1])
        elif self.place is not None:
            self._write(last)
        self._plan(0.0)

    @property
    def due_step(self) -> float:
        """The number of steps after which the next checkpoint is due, where steps are counted."""
        return self.due if self.place and self.place.steps else math.inf

    def look(self, last: Any) -> None:
        """After a step: write a checkpoint if it is time.

        Args:
            last: the rows of that step.
        """
        if self.due <= (len(self.elbo) if self.place and self.place.steps else time.monotonic()):
            self.write(last)

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

    def _write(self, last: Any) -> None:
        self.steps.store()
        objective, tensors = self.steps.objective, dict[str, Tensor]()
        state = {"random": random_states(), "optimiser": optimiser_state(self.steps.optimiser)}
        document = {
            "about": self.about,
            "rows": told(last.places),
            "probe": self._probe(last),
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

    def _probe(self, last: Any) -> float:
        """One value of what is climbed, at the same draws every time: it tells one program from another."""
        modules = self.steps.objective.modules
        held = {name: value.clone() for name, value in modules.named_buffers()}  # such as running means
        with isolated(0):
            value = self.steps.objective.climbed(last.batch, last.scale)[1].item()
            for name, buffer in modules.named_buffers():
                if not torch.equal(buffer, held[name]):
                    buffer.copy_(held[name])
        return float(value)

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
                saved = tensors[f"module.{name}"]
                if saved.shape != tensor.shape or saved.dtype != tensor.dtype:
                    raise ValueError(f"{name} is {tuple(saved.shape)} there, and {tuple(tensor.shape)} here")
                if not torch.equal(tensor, saved.to(tensor.device)):
                    tensor.copy_(saved)
        set_optimiser_state(self.steps.optimiser, self._state["optimiser"])
        self.elbo += tensors["elbo"].tolist()
        self.beside += tensors["beside"].tolist()
        self.steps.done = len(self.elbo)


def _tensors(modules: torch.nn.Module) -> dict[str, Tensor]:
    return {**dict(modules.named_parameters()), **dict(modules.named_buffers())}


def _near(a: float, b: float, dtype: torch.dtype) -> bool:
    """Equal up to rounding, which other threads and machines do otherwise; both may be not finite."""
    rtol = 1e-9 if dtype == torch.float64 else 1e-4
    return math.isclose(a, b, rel_tol=rtol, abs_tol=rtol) or not (math.isfinite(a) or math.isfinite(b))
