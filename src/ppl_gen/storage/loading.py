"""The verb `load`: from file to posterior."""

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ppl_gen.core import ProbabilisticModel, run
from ppl_gen.errors import DataError, ForeignFile
from ppl_gen.inference.guides import Mode, Point, WithParameters, make_guide
from ppl_gen.inference.nuts import Draws
from ppl_gen.inputs import describe
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior
from ppl_gen.storage.layout import read
from ppl_gen.storage.modules import filled, guide_name, kind_of
from ppl_gen.storage.values import CLASSES, decode
from ppl_gen.tables import Encoder


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
    document, tensors = read(path)
    with isolated(0):
        try:
            return _posterior(document, tensors, model, guide)
        except Exception as error:  # the digest is right, so file, model and guide do not belong together
            own = isinstance(error, ForeignFile)
            reason = str(error) if own else f"cannot be restored: {type(error).__name__}: {error}"
            raise ForeignFile(f"{os.fspath(path)}: {reason}") from (None if own else error)


def _posterior(
    document: Mapping[str, Any], tensors: Mapping[str, Tensor], model: ProbabilisticModel | None, guide: Any
) -> Posterior:
    fresh = _fresh_model(document["model"], tensors, model)
    fill = functools.partial(filled, document["parts"], tensors)
    method, note = _method(document["method"], tensors, guide)
    encoder, columns, classes = _words(document, tensors)
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
        columns=columns,
        classes=classes,
        encoder=encoder,
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


def _words(
    document: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> tuple[Encoder | None, dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """The encoder, columns and classes; files of 0.1 may have them under "vocabulary", or none."""
    columns, classes = (
        {name: tuple(names) for name, names in document.get(part, {}).items()}
        for part in ("columns", "classes")
    )
    parts, old = (decode(document.get(part), tensors) for part in ("encoder", "vocabulary"))
    if old:
        parts = old if old["columns"] is not None else None
        columns |= {"x": tuple(parts["columns"])} if parts else {}
        columns |= {"y": (old["target"],)} if old["target"] else {}
        classes |= {"y": tuple(map(str, old["classes"]))} if old["classes"] else {}
    return parts and Encoder(parts["columns"], parts["categories"]), columns, classes


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
        made = CLASSES[saved["known"]]
        if not issubclass(made, ProbabilisticModel):
            raise ForeignFile(f"{saved['known']} is no model")
        return made(**{key: decode(code, tensors) for key, code in saved["configuration"].items()})
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
    if kind in ("point", "mode"):
        at = "guide.at_"
        point = {key.removeprefix(at): t for key, t in tensors.items() if key.startswith(at)}
        return (Mode if kind == "mode" else Point)(posterior.model, point)
    if kind == "draws" and guide is None:
        openings = ("guide.drawn_", "guide.stat_")
        return Draws(
            *({n.removeprefix(o): t for n, t in tensors.items() if n.startswith(o)} for o in openings)
        )
    if guide is None:
        if saved["family"] is None:
            what = "class" if kind == "automatic" else kind
            raise ForeignFile(
                f"its guide {name} is a {what} of your own, and load runs no code of a file. Pass it as it "
                f"was passed to SVI: load(path, guide=…). A copy of it receives the tensors of the file."
            )
        guide = decode(saved["family"], tensors)
    # The model's own rows stand for the data: every one lies in its support.
    p, values = posterior.model, posterior.zeros(posterior.n)
    drawn = run(p.model, values).nodes if kind in ("automatic", "function") else {}
    observed: dict[str, Any] = {key: drawn[key]["value"] for key in posterior.shapes if key in drawn}
    made = make_guide(guide, p, {**values, **observed}, observed)
    if isinstance(made, WithParameters):
        made(**{**values, **observed})  # it declares its parameters when it runs
    if kind_of(dataclasses.replace(posterior, guide=made)) != kind:
        raise ForeignFile(f"guide: its guide is the {kind} {name}, not {guide_name(made)}")
    return made


def _method(saved: Mapping[str, Any], tensors: Mapping[str, Tensor], guide: Any) -> tuple[Any, str]:
    """The method of inference, and a note on what the file could not hold of it."""
    left_out = dict(saved["left_out"])
    method = None
    if saved["class"] is not None:
        settings = {name: decode(code, tensors) for name, code in saved["settings"].items()}
        if guide is not None and left_out.pop("guide", None):
            settings["guide"] = guide
        method = CLASSES[saved["class"]](**settings)
    note = ", ".join(f"{name}={value}" for name, value in left_out.items())
    return method, f"not saved with it: {note}" if note else ""
