"""A folder of checkpoints: each written whole, the last two kept, and nothing else read."""

import errno
import os
import re
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ppl_gen.checks import called, positive, whole
from ppl_gen.errors import DamagedFile, DataError, NotSaved
from ppl_gen.files import PART, replace_file
from ppl_gen.inference.signals import users_line
from ppl_gen.sealed import Format

CHECKPOINT = Format(
    "ppl-gen checkpoint",
    1,
    foreign="it is no checkpoint of ppl-gen; nothing in it was run. Take it out of this folder",
    damaged="Take it out of this folder.",
)
_NAME = re.compile(r"step-(\d+)\.checkpoint")


@dataclass(frozen=True)
class Checkpoint:
    """Where an SVI fit keeps its checkpoints, and how often it writes one: ``SVI(checkpoint=Checkpoint(…))``.

    ``SVI(checkpoint="run")`` is short for ``SVI(checkpoint=Checkpoint("run"))``. The same fit again, in this
    process or another, goes on from the newest one, and returns at once if it was done; on one thread the
    result is that of a fit that was never stopped, bit for bit. Nothing else resumes: a checkpoint of other
    data, another model or other settings is refused. Of arrays and memory maps every value is compared; of
    `Batches` and `Parquet` what they say. The rows of steps that were done are not read again, except those
    of a loader or an iterable whose next batch only the one before it knows.

    Under torchrun the first process reads and writes for all: the folder need be there alone. As many
    processes as before go on, after a restart (``--max-restarts``) too; another number of them is refused.

    One is written at the start, which proves that it can be, at the end, at Ctrl-C and at SIGTERM, which then
    exits with code 143; the last two are kept, and a new one takes its name when it is whole. A
    program's plain attributes that change from step to step are not in it.

    Args:
        folder: of this fit alone; made if need be.
        seconds: between two checkpoints, more where writing would take over 2 % of the time.
        steps: between two checkpoints, in the place of seconds.

    >>> import os, tempfile
    >>> from ppl_gen import SVI, Checkpoint, fit
    >>> from ppl_gen.models import GaussianMixture
    >>> rows = [[0.0], [1.0], [9.0]]
    >>> with tempfile.TemporaryDirectory() as run:
    ...     method = SVI(steps=50, checkpoint=Checkpoint(run, steps=20))
    ...     first = fit(GaussianMixture(components=2, features=1), method, x=rows)
    ...     names = sorted(os.listdir(run))
    ...     again = fit(GaussianMixture(components=2, features=1), method, x=rows)  # returns at once
    >>> names, bool((first.elbo == again.elbo).all())
    (['step-40.checkpoint', 'step-50.checkpoint'], True)
    """

    folder: str | os.PathLike[str]
    seconds: float = 60.0
    steps: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.folder, str | os.PathLike) or not os.fspath(self.folder):
            raise DataError(f"checkpoint: expected the name of a folder, got {called(self.folder)}")
        object.__setattr__(self, "seconds", positive("seconds", self.seconds))
        if self.steps is not None:
            object.__setattr__(self, "steps", whole("steps", self.steps))


def checkpoint(value: Any) -> Checkpoint | None:
    """The setting, from a folder's name."""
    return value if value is None or isinstance(value, Checkpoint) else Checkpoint(value)


class Folder:
    """A folder of checkpoints; ``kept`` are those that its fit wrote or went on from, the last two."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.kept: list[Path] = []

    def write(self, step: int, content: bytes) -> None:
        """Add a checkpoint, and drop all but the last two.

        Raises:
            OSError: it cannot be written; it says what is needed, and what was there stays.
        """
        target = self.path / f"step-{step}.checkpoint"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            replace_file(target, content)
        except OSError as error:
            raise _needs(error, target, len(content)) from error
        self.kept = [*(path for path in self.kept if path != target), target][-2:]
        for path in self.all():
            if path not in self.kept:
                path.unlink(missing_ok=True)

    def all(self) -> list[Path]:
        """The checkpoints of the folder, the newest first."""
        found = [(match, path) for path in self.path.iterdir() if (match := _NAME.fullmatch(path.name))]
        return [path for _, path in sorted(((int(match[1]), path) for match, path in found), reverse=True)]

    def newest(self) -> tuple[Path, dict[str, Any], dict[str, Tensor]] | None:
        """The newest that is whole; of a damaged one after it a warning tells."""
        if self.path.exists() and not self.path.is_dir():
            raise DataError(f"checkpoint: expected the name of a folder, got the file {self.path}")
        if not self.path.is_dir():
            return None
        for path in self.path.iterdir():
            if PART.fullmatch(path.name):  # of a process that was killed while it wrote
                path.unlink(missing_ok=True)
        everything, trouble = self.all(), None
        empty = [path for path in everything if path.stat().st_size == 0]  # named, and then the disk was lost
        for path in everything:
            if path not in empty:
                CHECKPOINT.recognise(path)
        for path in everything:
            if path in empty:
                trouble = trouble or DamagedFile(f"{path}: it is empty. Take it out of this folder.")
                continue
            try:
                document, tensors = CHECKPOINT.read(path)
            except DamagedFile as error:
                trouble = trouble or error
                continue
            if trouble is not None:
                warnings.warn(
                    f"{trouble} The fit goes on from {path.name}.", NotSaved, stacklevel=users_line()
                )
            return path, document, tensors
        if trouble is not None:
            raise trouble
        return None


def _needs(error: OSError, target: Path, size: int) -> OSError:
    there = next(folder for folder in target.absolute().parents if folder.exists())
    free = shutil.disk_usage(there).free
    return OSError(
        error.errno or errno.EIO,
        f"{error.strerror or error}: it needs {size:,} bytes in {target.parent}, where {free:,} are free",
        str(target),
    )
