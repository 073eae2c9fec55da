"""The verbs `save` and `load`: a posterior as one file, without pickle.

A posterior is written as a safetensors file, which holds nothing but a header and numbers. The header's
``__metadata__`` carries one JSON document; it opens with the name of the format and the SHA-256 digest of
the whole file, taken with the digest's own 64 characters blanked. That opening is the same in every version.
Nothing in a file is executed, and no name in it is imported: classes are looked up among those of ppl_gen,
Pyro's automatic guides and torch.optim. Code of your own is passed to `load`, which brings its tensors.
"""

import copy
import dataclasses
import functools
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MethodType
from typing import Any, BinaryIO, TypeVar

import numpy as np
import safetensors.torch
import torch
from pyro.infer import autoguide
from torch import Tensor, nn

from ppl_gen import distributions, inference, models
from ppl_gen.core import ProbabilisticModel, run
from ppl_gen.distributions import Likelihood
from ppl_gen.errors import DamagedFile, DataError, ForeignFile, NewerFile
from ppl_gen.inference.guides import Automatic, Point, WithParameters, make_guide
from ppl_gen.inputs import describe
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior

VERSION = 1  # of the format
_BLANK = b"0" * 64  # stands for the digest while it is taken
_OPENING = b'{"__metadata__":{"ppl_gen":"{\\"format\\":\\"ppl-gen posterior\\",\\"sha256\\":\\"'
_DIGEST = slice(8 + len(_OPENING), 8 + len(_OPENING) + len(_BLANK))  # after the header's length, 8 bytes

_CLASSES: dict[str, type] = {  # the only classes that a file can ask for
    f"{module.__name__}.{name}": value
    for module, kind in (
        (models, ProbabilisticModel), (distributions, Likelihood), (inference, object),
        (autoguide, autoguide.AutoGuide), (torch.optim, torch.optim.Optimizer),
    )
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, kind)
}  # fmt: skip
_NAMES = {value: name for name, value in _CLASSES.items()}
_Module = TypeVar("_Module", bound=nn.Module)


def save(posterior: Posterior, path: str | os.PathLike[str]) -> None:
    """Write a posterior to one file, all or nothing: an old file stays until the new one is complete.

    The file holds the model, its prior, the guide, the history and what is known of the data: names, shapes
    and fingerprints, not the data themselves. Plain attributes of a model that change after it was made
    are not saved; keep in parameters and buffers what must be.

    Args:
        posterior: what `fit` returned.
        path: the file; ``.pplgen`` is the usual ending.

    Raises:
        DataError: not a posterior, or no such folder.
        OSError: the file could not be written, for instance because the disk is full.

    >>> import tempfile, pathlib
    >>> from ppl_gen import fit
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
    content = _content(posterior)
    try:
        _replace(target, content)
    except OSError as error:
        free = shutil.disk_usage(target.parent).free
        raise OSError(
            error.errno,
            f"{error.strerror or error}: the posterior needs {len(content):,} bytes in {target.parent}, "
            f"where {free:,} are free; nothing was changed",
            str(target),
        ) from error


def load(
    path: str | os.PathLike[str], model: ProbabilisticModel | None = None, /, *, guide: Any = None
) -> Posterior:
    """Read a posterior that `save` wrote. It answers as before, bit for bit, and `fit` continues it.

    Its ``data`` is None. Settings of its method that a file cannot hold, such as a function, are at their
    defaults, and its note names them.

    Args:
        path: the file.
        model: for a model that is not one of ppl_gen.models, or has modules of your own: one made as the
            fitted one was made. It stays as it is; a copy receives the tensors.
        guide: likewise what was passed as ``SVI(guide=…)``, if it was a module, a function or a class of
            your own.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFile: it is truncated, or was altered after it was written.
        ForeignFile: `save` did not write it, or it belongs to another model; the message says which.
        NewerFile: a later version of ppl-gen wrote it.

    An example stands with `save`.
    """
    if model is not None and not isinstance(model, ProbabilisticModel):
        raise DataError(f"model: expected a ProbabilisticModel, got {type(model).__name__}")
    document, tensors = _read(path)
    with isolated(0):
        try:
            return _posterior(document, tensors, model, guide)
        except Exception as error:  # the digest is right, so file, model and guide do not belong together
            own = isinstance(error, ForeignFile)
            reason = str(error) if own else f"cannot be restored: {type(error).__name__}: {error}"
            raise ForeignFile(f"{os.fspath(path)}: {reason}") from (None if own else error)


# ------------------------------------------------------------------------------------ from posterior to bytes


def _content(posterior: Posterior) -> bytes:
    import ppl_gen  # whose __init__ imports this file

    tensors: dict[str, Tensor] = {"elbo": posterior.elbo}
    parts: dict[str, nn.Module] = {"model": posterior.model, "prior": posterior.prior}
    kind, family = _kind(posterior), None
    if kind not in ("none", "own"):
        parts["guide"] = posterior.guide
    if posterior.yesterday is not None:
        parts["yesterday"] = posterior.yesterday.__self__ if kind == "own" else posterior.yesterday
    if kind == "automatic":
        family, _ = _encoded(_without_start(posterior.guide.family), tensors)
    configuration: dict[str, Any] = {}
    foreign: dict[str, str] = {}
    if type(posterior.model) in _NAMES:
        for name, value in posterior.model.configuration.items():
            configuration[name], unknown = _encoded(value, tensors)
            foreign |= {name: unknown} if unknown else {}
    settings, left_out = _settings(posterior.method, tensors)
    document = {
        "format": "ppl-gen posterior",
        "sha256": _BLANK.decode(),
        "version": VERSION,
        "ppl_gen": ppl_gen.__version__,
        "torch": str(torch.__version__),
        "model": {
            "class": type(posterior.model).__name__,
            "joint": posterior.model.joint,
            "known": _NAMES.get(type(posterior.model)),
            "configuration": configuration,
            "foreign": foreign,
        },
        "parts": {name: _description(part) for name, part in parts.items()},
        "guide": {"kind": kind, "name": _guide_name(posterior.guide), "family": family},
        "method": {"class": _NAMES.get(type(posterior.method)), "settings": settings, "left_out": left_out},
        "n": posterior.n,
        "shapes": {name: list(shape) for name, shape in posterior.shapes.items()},
        "dtypes": {name: str(dtype).removeprefix("torch.") for name, dtype in posterior.dtypes.items()},
        "fingerprints": list(posterior.fingerprints),
        "evidence": posterior.evidence,
        "note": posterior.note,
    }
    tensors |= {f"{part}.{name}": t for part, module in parts.items() for name, t in _tensors(module).items()}
    own = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    content = safetensors.torch.save(own, {"ppl_gen": json.dumps(document, separators=(",", ":"))})
    return content[: _DIGEST.start] + _digest(content) + content[_DIGEST.stop :]


def _digest(content: bytes) -> bytes:
    digest, view = hashlib.sha256(), memoryview(content)
    for piece in (view[: _DIGEST.start], _BLANK, view[_DIGEST.stop :]):
        digest.update(piece)
    return digest.hexdigest().encode()


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _description(module: nn.Module) -> dict[str, Any]:
    """What a module is beside its tensors' values."""
    tensors = _tensors(module)
    orders = {n: sorted(range(t.dim()), key=t.stride().__getitem__, reverse=True) for n, t in tensors.items()}
    return {
        "modules": {name: [type(m).__name__, m.training] for name, m in module.named_modules()},
        "frozen": [name for name, t in module.named_parameters() if not t.requires_grad],
        # The order in memory decides how sums round.
        "orders": {
            name: order
            for name, order in orders.items()
            if not tensors[name].is_contiguous() and tensors[name].permute(order).is_contiguous()
        },
    }


def _kind(posterior: Posterior) -> str:
    guide = posterior.guide
    if guide is None:
        return "none"
    if isinstance(guide, MethodType) and guide.__self__ is posterior.model and guide.__name__ == "guide":
        return "own"
    if isinstance(guide, nn.Module):
        known = {Automatic: "automatic", WithParameters: "function", Point: "point"}
        return known.get(type(guide), "module")
    raise DataError(f"posterior: save knows no guide such as {guide!r}")


def _guide_name(guide: Any) -> str:
    """What a person calls the guide."""
    shown = guide.family if isinstance(guide, Automatic) else getattr(guide, "program", guide)
    return _shown(getattr(shown, "func", shown))


def _without_start(family: Any) -> Any:
    """The family of an automatic guide less where it starts: its tensors are stored."""
    if isinstance(family, functools.partial):
        options = {name: v for name, v in family.keywords.items() if name != "init_loc_fn"}
        return functools.partial(family.func, *family.args, **options)
    return family


def _settings(method: Any, tensors: dict[str, Tensor]) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields of a method that a file can hold, and the others' names for show."""
    if type(method) not in _NAMES:
        return {}, {"method": _shown(method)}
    settings, left_out = {}, {}
    for field in dataclasses.fields(method):
        value, foreign = _encoded(getattr(method, field.name), tensors)
        if foreign:
            left_out[field.name] = foreign
        else:
            settings[field.name] = value
    return settings, left_out


# ------------------------------------------------------------------------- values: JSON, tagged, without loss


def _encoded(value: Any, tensors: dict[str, Tensor]) -> tuple[Any, str]:
    """The value as JSON and an empty text, or None and the value's name if a file cannot hold it."""
    try:
        return _encode(value, tensors), ""
    except TypeError:
        return None, _shown(value)


def _shown(value: Any) -> str:
    return str(getattr(value, "__name__", type(value).__name__))


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    def inner(values: Any) -> list[Any]:
        return [_encode(v, tensors) for v in values]

    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple):
        return {type(value).__name__: inner(value)}
    if type(value) is dict:
        return {"dict": [inner(value.keys()), inner(value.values())]}
    if isinstance(value, type) and value in _NAMES:
        return {"class": _NAMES[value]}
    if isinstance(value, functools.partial):
        return {"partial": inner([value.func, list(value.args), dict(value.keywords)])}
    if isinstance(value, Likelihood) and type(value) in _NAMES:
        return {"likelihood": inner([type(value), dict(vars(value))])}
    key = f"value.{len(tensors)}"
    if type(value) is Tensor:
        tensors[key] = value
        return {"tensor": key}
    if isinstance(value, np.ndarray | np.generic):
        native = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
        tensors[key] = torch.from_numpy(native)
        return {"array": key}
    raise TypeError(f"a file holds no {type(value).__name__}")


def _decode(code: Any, tensors: Mapping[str, Tensor]) -> Any:
    def inner(codes: Any) -> list[Any]:
        return [_decode(c, tensors) for c in codes]

    if not isinstance(code, dict):
        return code
    ((kind, content),) = code.items()
    match kind:
        case "list":
            return inner(content)
        case "tuple":
            return tuple(inner(content))
        case "dict":
            return dict(zip(inner(content[0]), inner(content[1]), strict=True))
        case "class":
            return _CLASSES[content]
        case "partial":
            function, args, keywords = inner(content)
            return functools.partial(function, *args, **keywords)
        case "likelihood":
            family, fields = inner(content)
            if issubclass(family, Likelihood):
                return family(**fields)
        case "tensor":
            return tensors[content].clone()
        case "array":
            return tensors[content].clone().numpy()[()]
    raise ForeignFile(f"it holds a {kind!r}, which this version does not know")


# ------------------------------------------------------------------------------------ from bytes to posterior


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The document and the tensors of a whole file; what is not ours is not read beyond its opening."""
    damaged = DamagedFile(
        f"{os.fspath(path)}: it is truncated, or was altered after it was written (its SHA-256 digest does "
        f"not fit). Take a copy of it, or fit again."
    )
    with open(path, "rb") as file:
        start = file.read(_DIGEST.start)
        opening = start[8:]
        wrong = sum(a != b for a, b in zip(opening, _OPENING, strict=False))
        if not opening or wrong > (len(opening) == len(_OPENING)):  # one wrong byte is damage
            raise ForeignFile(f"{os.fspath(path)}: save did not write this file; nothing in it was run")
        size, length = os.fstat(file.fileno()).st_size, int.from_bytes(start[:8], "little")
        if length > size - 8:
            raise damaged
        file.seek(0)
        content = file.read()
    if _digest(content) != content[_DIGEST]:
        raise damaged
    try:
        document = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["ppl_gen"])
        version, writer = document["version"], document["ppl_gen"]
        if version <= VERSION:
            return document, safetensors.torch.load(content)
    except Exception as error:
        raise ForeignFile(f"{os.fspath(path)}: its header cannot be read: {error}") from error
    raise NewerFile(
        f"{os.fspath(path)}: ppl-gen {writer} wrote it in format {version}; this version reads formats up to "
        f"{VERSION}. Upgrade ppl-gen."
    )


def _posterior(
    document: Mapping[str, Any], tensors: Mapping[str, Tensor], model: ProbabilisticModel | None, guide: Any
) -> Posterior:
    fresh = _fresh_model(document["model"], tensors, model)
    fill = functools.partial(_filled, document["parts"], tensors)
    method, note = _method(document["method"], tensors, guide)
    posterior = Posterior(
        model=fill("model", fresh),
        prior=fill("prior", fresh),
        guide=None,
        method=method,
        elbo=tensors["elbo"].clone(),
        n=document["n"],
        shapes={name: tuple(shape) for name, shape in document["shapes"].items()},
        sites={},
        fingerprints=tuple(document["fingerprints"]),
        evidence=document["evidence"],
        note="; ".join(filter(None, [document["note"], note])),
        dtypes={name: getattr(torch, dtype) for name, dtype in document["dtypes"].items()},
    )
    given = Factorization(posterior.model.joint).given
    inputs = {name: v for name, v in posterior.zeros(2).items() if name in given}
    posterior = dataclasses.replace(
        posterior,
        sites={
            name: site
            for name, site in describe(posterior.prior, inputs).items()
            if site.local or name not in posterior.shapes
        },
    )
    made = _fresh_guide(document["guide"], tensors, posterior, guide)
    yesterday = None
    if document["guide"]["kind"] in ("none", "own"):
        if "yesterday" in document["parts"]:
            yesterday = fill("yesterday", fresh).guide
    else:
        if "yesterday" in document["parts"]:
            yesterday = fill("yesterday", made)
        made = fill("guide", made)
    return dataclasses.replace(posterior, guide=made, yesterday=yesterday)


def _fresh_model(
    saved: Mapping[str, Any], tensors: Mapping[str, Tensor], model: ProbabilisticModel | None
) -> ProbabilisticModel:
    name = saved["class"]
    if model is not None:
        if type(model).__name__ != name:
            raise ForeignFile(f"it is the posterior of a {name}, not of a {type(model).__name__}")
        if model.joint != saved["joint"]:
            raise ForeignFile(f"its {name} is {saved['joint']}; the model passed is {model.joint}")
        return model
    if saved["foreign"]:
        modules = " and ".join(f"{key}={value}" for key, value in saved["foreign"].items())
        reason = f"was made with {modules}, which a file cannot hold"
    elif saved["known"] is None:
        reason = "is not one of ppl_gen.models, and load runs no code of a file"
    else:
        made = _CLASSES[saved["known"]]
        if not issubclass(made, ProbabilisticModel):
            raise ForeignFile(f"{saved['known']} is no model")
        return made(**{key: _decode(code, tensors) for key, code in saved["configuration"].items()})
    raise ForeignFile(
        f"its {name} {reason}. Make one as the fitted one was made and pass it: load(path, model). "
        f"A copy of it receives the tensors of the file."
    )


def _fresh_guide(
    saved: Mapping[str, Any], tensors: Mapping[str, Tensor], posterior: Posterior, guide: Any
) -> Any:
    """The guide as it is before training."""
    kind, name = saved["kind"], saved["name"]
    if kind in ("none", "own"):
        if guide is not None:
            raise ForeignFile("guide: its guide belongs to the model; pass none")
        return posterior.model.guide if kind == "own" else None
    if kind == "point":
        at = "guide.at_"
        point = {key.removeprefix(at): t for key, t in tensors.items() if key.startswith(at)}
        return Point(posterior.model, point)
    if guide is None:
        if saved["family"] is None:
            what = "class" if kind == "automatic" else kind
            raise ForeignFile(
                f"its guide {name} is a {what} of your own, and load runs no code of a file. Pass it as it "
                f"was passed to SVI: load(path, guide=…). A copy of it receives the tensors of the file."
            )
        guide = _decode(saved["family"], tensors)
    # The model's own rows stand for the data: every one lies in its support.
    p, values = posterior.model, posterior.zeros(posterior.n)
    drawn = run(p.model, values).nodes if kind in ("automatic", "function") else {}
    observed: dict[str, Any] = {key: drawn[key]["value"] for key in posterior.shapes if key in drawn}
    made = make_guide(guide, p, {**values, **observed}, observed)
    if isinstance(made, WithParameters):
        made(**{**values, **observed})  # it declares its parameters when it runs
    if _kind(dataclasses.replace(posterior, guide=made)) != kind:
        raise ForeignFile(f"guide: its guide is the {kind} {name}, not {_guide_name(made)}")
    return made


def _filled(parts: Mapping[str, Any], tensors: Mapping[str, Tensor], part: str, fresh: _Module) -> _Module:
    """A copy of the module ``fresh`` with the tensors and the modes of the file's ``part``."""
    module, saved = copy.deepcopy(fresh), parts[part]
    there = {name.removeprefix(f"{part}."): t for name, t in tensors.items() if name.startswith(f"{part}.")}
    here = _tensors(module)
    inside = dict(module.named_modules())
    file_says = {name: kind for name, (kind, _) in saved["modules"].items()}
    _same("module", part, file_says, {name: type(m).__name__ for name, m in inside.items()})
    shapes = ({name: tuple(t.shape) for name, t in sorted(ts.items())} for ts in (there, here))
    _same("tensor", part, *shapes)
    for name, tensor in there.items():
        order = saved["orders"].get(name, range(tensor.dim()))
        target = torch.empty_permuted(tensor.shape, tuple(order), dtype=tensor.dtype)
        here[name].data = target.copy_(tensor).to(here[name].device)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name not in saved["frozen"])
    for name, (_, training) in saved["modules"].items():
        inside[name].training = training
    return module


def _same(what: str, part: str, file_says: Mapping[str, Any], passed: Mapping[str, Any]) -> None:
    for name in [*file_says, *passed]:
        first, second = (str(side.get(name, "missing")) for side in (file_says, passed))
        if first != second:
            raise ForeignFile(
                f"the {what} {name!r} of its {part} is {first} in the file, and {second} in the one that was "
                f"made afresh or passed"
            )


def _method(saved: Mapping[str, Any], tensors: Mapping[str, Tensor], guide: Any) -> tuple[Any, str]:
    """The method of inference, and a note on what the file could not hold of it."""
    left_out = dict(saved["left_out"])
    method = None
    if saved["class"] is not None:
        settings = {name: _decode(code, tensors) for name, code in saved["settings"].items()}
        if guide is not None and left_out.pop("guide", None):
            settings["guide"] = guide
        method = _CLASSES[saved["class"]](**settings)
    note = ", ".join(f"{name}={value}" for name, value in left_out.items())
    return method, f"not saved with it: {note}" if note else ""


# ------------------------------------------------------------------------------------------- all or nothing


def _replace(target: Path, content: bytes) -> None:
    """Write the file under another name, force it to the disk, then give it its name."""
    with _temporary(target.parent) as (file, name):
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(name, target)
    with suppress(OSError):  # the name, too; not every system lets a folder be opened
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file in the folder, gone after an error."""
    name = folder / f".{secrets.token_hex(8)}.pplgen-part"
    try:
        with open(name, "xb") as file:
            yield file, name
    except BaseException:
        name.unlink(missing_ok=True)
        raise
