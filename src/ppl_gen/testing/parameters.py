"""Rules about what a model is made of: its constructor, its parameters and their precision."""

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ppl_gen.core import dtype_of, is_local
from ppl_gen.testing.case import Case, log_density
from ppl_gen.testing.densities import is_fixed


def trainable(c: Case) -> None:
    """What is to be learned is a parameter of the model: fit neither sees nor trains anything else."""
    known = {id(w) for w in c.p.parameters()}
    for place, module in c.p.named_modules():
        for key, value in {**module.__dict__, **module._buffers}.items():
            if key in ("_parameters", "_buffers", "_modules", "configuration"):
                continue
            name = f"{place}.{key}".lstrip(".")
            items = value.values() if isinstance(value, dict) else value
            for item in items if isinstance(value, list | tuple | dict) else [value]:
                if isinstance(item, nn.Module) and any(id(w) not in known for w in item.parameters()):
                    c.refuse(
                        f"self.{name} holds a module in a plain {type(value).__name__}: its parameters are "
                        f"not the model's, and are never trained",
                        f"write self.{name} = torch.nn.ModuleList(…), or ModuleDict or Sequential",
                        at="__init__",
                    )
                if isinstance(item, Tensor) and item.requires_grad and id(item) not in known:
                    c.refuse(
                        f"self.{name} is a tensor that asks for gradients but is no parameter: it is never "
                        f"trained",
                        f"write self.{name} = torch.nn.Parameter(…), or leave out requires_grad",
                        at="__init__",
                    )


def constructor(c: Case) -> None:
    """Sizes are named, so that the model can be described, saved and made again."""
    for parameter in inspect.signature(c.cls.__init__).parameters.values():
        if (
            parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY)
            and parameter.name != "self"
        ):
            c.refuse(
                f"the constructor does not take sizes by name: it has {str(parameter)!r}",
                "name them, as in __init__(self, features, latent)",
                at="__init__",
            )


def inside(c: Case) -> None:
    """What asks for gradients in the programs belongs to the model: nothing else is trained or saved."""
    own = {id(w) for w in c.p.parameters()}
    for part in ("model", "guide")[: 1 + c.guided]:
        for name, site in c.run(part, c.values | c.drawn).items():
            for leaf in _leaves(log_density(site)):
                if id(leaf) not in own:
                    c.refuse(
                        f"{part}() draws {name!r} with a tensor of shape {tuple(leaf.shape)} that asks for "
                        f"gradients and is no parameter of the model: it is neither trained nor saved",
                        "make the network or parameter an attribute in __init__: self.decoder = …",
                        part,
                        name,
                    )


def _leaves(value: Tensor) -> Iterator[Tensor]:
    """The tensors that autograd would give a gradient."""
    seen, frontier = set(), [value.grad_fn]
    if value.grad_fn is None and value.requires_grad:
        yield value
    while frontier:
        node: Any = frontier.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        frontier += [following for following, _ in node.next_functions]


def precision(c: Case) -> None:
    """A model of double precision draws its rows in double precision."""
    if dtype_of(c.p) != torch.float64:
        return
    for name in c.joint:
        site, value = c.sites[name], c.sites[name]["value"]
        if not is_local(site) or is_fixed(site) or site["fn"].support.is_discrete:
            continue
        if value.dtype in (torch.float32, torch.float16, torch.bfloat16):
            dtype = str(value.dtype).removeprefix("torch.")
            c.refuse(
                f"model() draws {name!r} in {dtype}, though the model's parameters are float64: its density "
                f"loses half of their digits",
                "make constants like the parameters: torch.zeros_like(self.loc), or dtype=torch.float64",
                "model",
                name,
            )
