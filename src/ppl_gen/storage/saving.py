"""The verb `save`: from posterior to file."""

import dataclasses
import functools
import os
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ppl_gen import ranks
from ppl_gen.errors import DataError
from ppl_gen.files import replace_file
from ppl_gen.posterior import Posterior
from ppl_gen.storage.layout import packed
from ppl_gen.storage.modules import description, guide_name, kind_of, tensors_of
from ppl_gen.storage.values import NAMES, encoded, shown
from ppl_gen.tables import Encoder


def save(posterior: Posterior, path: str | os.PathLike[str]) -> None:
    """Write a posterior to one file, all or nothing: an old file stays until the new one is complete.

    The file holds the model, its prior, the guide, the history and what is known of the data: names, shapes
    and fingerprints, not the data themselves. Plain attributes of a model that change after it was made
    are not saved; keep in parameters and buffers what must be.

    Of several processes (`ppl_gen.ranks`) the first writes, and the others wait until it has.

    Args:
        posterior: what `fit` returned.
        path: the file; ``.pplgen`` is the usual ending.

    Raises:
        DataError: not a posterior, or no such folder.
        OSError: the file could not be written, for instance because the disk is full.

    >>> import tempfile, pathlib
    >>> from ppl_gen import fit, load
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=[[0.], [1.], [5.]], y=[0, 0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(posterior, pathlib.Path(folder) / "nb.pplgen")
    ...     again = load(pathlib.Path(folder) / "nb.pplgen")
    >>> again.log_evidence == posterior.log_evidence
    True
    """
    if not isinstance(posterior, Posterior):
        raise DataError(f"posterior: expected what fit returned, got {type(posterior).__name__}")
    target = Path(path).resolve()  # write through a symbolic link, do not replace it
    if not target.parent.is_dir():
        raise DataError(f"path: the folder {target.parent} does not exist; make it first")
    if target.is_dir():
        raise DataError(f"path: expected the name of a file, got the folder {target}")
    if not ranks.wait_for(str(target)):
        return
    content = _content(posterior)
    try:
        replace_file(target, content)
    except OSError as error:
        free = shutil.disk_usage(target.parent).free
        raise OSError(
            error.errno,
            f"{error.strerror or error}: the posterior needs {len(content):,} bytes in {target.parent}, "
            f"where {free:,} are free; nothing was changed",
            str(target),
        ) from error
    ranks.written(str(target))


def _content(posterior: Posterior) -> bytes:
    tensors: dict[str, Tensor] = {"elbo": posterior.elbo}
    parts: dict[str, nn.Module] = {"model": posterior.model, "prior": posterior.prior}
    kind, family = kind_of(posterior), None
    if kind not in ("none", "own"):
        parts["guide"] = posterior.guide
    if posterior.yesterday is not None:
        parts["yesterday"] = posterior.yesterday.__self__ if kind == "own" else posterior.yesterday
    if kind == "automatic":
        family, _ = encoded(_without_start(posterior.guide.family), tensors)
    configuration: dict[str, Any] = {}
    foreign: dict[str, str] = {}
    if type(posterior.model) in NAMES:
        for name, value in posterior.model.configuration.items():
            configuration[name], unknown = encoded(value, tensors)
            foreign |= {name: unknown} if unknown else {}
    settings, left_out = _settings(posterior.method, tensors)
    document = {
        "model": {
            "class": type(posterior.model).__name__,
            "joint": posterior.model.joint,
            "known": NAMES.get(type(posterior.model)),
            "configuration": configuration,
            "foreign": foreign,
        },
        "parts": {name: description(part) for name, part in parts.items()},
        "guide": {"kind": kind, "name": guide_name(posterior.guide), "family": family},
        "method": {"class": NAMES.get(type(posterior.method)), "settings": settings, "left_out": left_out},
        "n": posterior.n,
        "shapes": {name: list(shape) for name, shape in posterior.shapes.items()},
        "dtypes": {name: str(dtype).removeprefix("torch.") for name, dtype in posterior.dtypes.items()},
        "columns": {
            k: list(names)
            for k, names in posterior.columns.items()
            if all(isinstance(name, str) for name in names)
        },
        "classes": {name: list(names) for name, names in posterior.classes.items()},
        "fingerprints": list(posterior.fingerprints),
        "evidence": posterior.evidence,
        "note": posterior.note,
        "encoder": encoded(posterior.encoder and _parts(posterior.encoder), tensors)[0],
    }
    for part, module in parts.items():
        tensors |= {f"{part}.{name}": t for name, t in tensors_of(module).items()}
    return packed(document, tensors)


def _parts(encoder: Encoder) -> dict[str, Any]:
    return {"columns": dict(encoder.columns), "categories": dict(encoder.categories)}


def _without_start(family: Any) -> Any:
    """The family of an automatic guide less where it starts: its tensors are stored."""
    if isinstance(family, functools.partial):
        options = {name: v for name, v in family.keywords.items() if name != "init_loc_fn"}
        return functools.partial(family.func, *family.args, **options)
    return family


def _settings(method: Any, tensors: dict[str, Tensor]) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields of a method that a file can hold, and the others' names for show."""
    if type(method) not in NAMES:
        return {}, {"method": shown(method)}
    settings, left_out = {}, {}
    for field in dataclasses.fields(method):
        value, foreign = encoded(getattr(method, field.name), tensors)
        if foreign:
            left_out[field.name] = foreign
        else:
            settings[field.name] = value
    return settings, left_out
