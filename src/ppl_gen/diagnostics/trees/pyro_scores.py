"""The log densities of a bare Pyro program on one draw, its open discrete sites summed out."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.distributions import Unit
from pyro.ops import packed
from pyro.ops.contract import contract_tensor_tree
from pyro.ops.rings import LogRing
from torch import Tensor

from ppl_gen.core import variables
from ppl_gen.diagnostics.trees.labels import Named
from ppl_gen.errors import DataError, Unexplained
from ppl_gen.inference.elbo import Node, delta
from ppl_gen.inference.observed import enumerates

Program = Callable[..., Any]


class Scores(NamedTuple):
    """One draw's log densities, in nats."""

    log_likelihood: Named  # of each observed variable, or of those that share summed variables: (*plates,)
    plates: dict[str, tuple[str, ...]]  # the names of those dimensions
    log_prior: Named  # of each latent variable
    log_p: Tensor
    deterministic: Named
    coupled: tuple[str, ...]  # observed variables whose cells a summed variable couples: in log_p alone
    summed: tuple[str, ...]


def data_of(trace: poutine.Trace) -> dict[str, Node]:
    """The observed variables: not deterministic ones, nor factors, which Pyro writes as observed too."""
    return {name: site for name, site in variables(trace).items() if is_data(site)}


def is_data(site: Node) -> bool:
    """Whether it is an observed variable, and neither a deterministic one nor a factor."""
    return site["is_observed"] and not delta(site) and not isinstance(site["fn"], Unit)


def scores(model: Program, guided: poutine.Trace, plain: poutine.Trace, plates: int) -> Scores:
    """Score the ``model``, a program without arguments, on the latents that ``guided`` drew.

    ``plain`` is a run of it with nothing enumerated, ``plates`` how many batch dimensions belong to plates.

    Discrete variables that it leaves open are enumerated, and summed out within the plates that they share
    (as in Pyro's TraceEnum_ELBO; Obermeyer et al. 2019, Tensor variable elimination for plated factor
    graphs). What a mask hides counts nothing; ``poutine.scale`` weighs as in the ELBO.
    """

    def enumerable(site: Node) -> dict[str, Any]:
        if site["type"] != "sample" or not hasattr(site["fn"], "has_enumerate_support"):
            return {}
        free = site["name"] not in guided and not site["is_observed"] and site["fn"].has_enumerate_support
        return {"enumerate": "parallel" if free else None}

    program = poutine.infer_config(poutine.replay(model, trace=guided), config_fn=enumerable)
    with poutine.enum(first_available_dim=-1 - plates):
        trace = poutine.trace(program).get_trace()
    for name, site in variables(trace).items():
        if not (name in guided or site["is_observed"] or enumerates(site)):
            raise Unexplained(
                f"{name!r} is a latent variable that is neither observed, drawn by the guide or chain, nor "
                f"finite enough to be summed out. Give the guide a site {name!r}"
            )
    trace.compute_log_prob()
    trace.pack_tensors()
    return _collected(trace, plain)


def _collected(trace: poutine.Trace, plain: poutine.Trace) -> Scores:
    found = variables(trace)
    summed = [name for name, site in found.items() if enumerates(site)]
    open_ = {found[name]["infer"]["_enumerate_symbol"] for name in summed}
    log_p = torch.zeros(())
    rows, plates, prior = dict[str, Tensor](), dict[str, tuple[str, ...]](), dict[str, Tensor]()
    coupled: list[str] = []
    observed = data_of(trace)
    for names in _coupled(found, open_):
        data = [name for name in names if name in observed]
        if not any(open_ & set(found[name]["packed"]["log_prob"]._pyro_dims) for name in names):
            (name,) = names
            frames, cells = _frames(found[name]), found[name]["log_prob"]
            if name not in observed and not delta(found[name]) and not found[name]["is_observed"]:
                prior[name] = cells.sum()
            cells = _spread(cells, frames)
        else:
            frames, cells = _contracted(trace, {name: found[name] for name in names}, open_)
        log_p = log_p + cells.sum()
        if data and not frames and any(_frames(found[name]) for name in data):
            coupled += data  # a variable that rows share was summed out: they are dependent
        elif data:
            rows[_joined(data)] = cells
            plates[_joined(data)] = tuple(frame.name for frame in frames)
    fixed = {
        name: site["value"]
        for name, site in found.items()
        if site["is_observed"] and delta(site) and site["value"].shape == plain.nodes[name]["value"].shape
    }
    return Scores(rows, plates, prior, log_p, fixed, tuple(coupled), tuple(summed))


def _coupled(found: Mapping[str, Node], open_: set[str]) -> list[list[str]]:
    """The variables, grouped by the summed ones on which they depend together."""
    groups: list[tuple[list[str], set[str]]] = []
    for name, site in found.items():
        names, dims = [name], open_ & set(site["packed"]["log_prob"]._pyro_dims)
        for group in [g for g in groups if g[1] & dims]:
            groups.remove(group)
            names, dims = group[0] + names, group[1] | dims
        groups.append((names, dims))
    return [names for names, _ in groups]


def _contracted(trace: poutine.Trace, sites: Mapping[str, Node], open_: set[str]) -> tuple[list[Any], Tensor]:
    """The log probability of coupled sites, the open variables summed out, and the plates that remain."""
    symbols = trace.plate_to_symbol
    scales = {float(torch.as_tensor(site["scale"]).max()) for site in sites.values()}
    if len(scales) > 1:
        raise DataError(
            f"poutine.scale weighs {', '.join(sites)} differently, and a discrete variable that they share "
            f"is summed out: give all of them one scale"
        )
    tree: OrderedDict[frozenset[str], list[Tensor]] = OrderedDict()
    sizes: dict[str, int] = {}
    widest = reduce(torch.promote_types, (site["log_prob"].dtype for site in sites.values()))
    for site in sites.values():
        whole = site["packed"]["unscaled_log_prob"]
        term = _of_type(packed.scale_and_mask(whole, mask=site["packed"]["mask"]), widest)
        sizes |= dict(zip(term._pyro_dims, term.shape, strict=True))
        sizes |= {symbols[frame.name]: frame.size for frame in _frames(site)}
        tree.setdefault(frozenset(symbols[frame.name] for frame in _frames(site)), []).append(term)
    ring = LogRing(dim_to_size=sizes)
    ((ordinal, (term,)),) = contract_tensor_tree(tree, open_ & sizes.keys(), ring=ring).items()
    frames = {frame for site in sites.values() for frame in _frames(site) if symbols[frame.name] in ordinal}
    ordered = sorted(frames, key=lambda frame: frame.dim)
    places = {symbols[frame.name]: frame.dim for frame in ordered}
    return ordered, _spread(packed.unpack(term, places) * scales.pop(), ordered)


def _of_type(term: Any, kind: torch.dtype) -> Any:
    """A packed tensor of another type."""
    changed = term.to(kind)
    changed._pyro_dims = term._pyro_dims
    return changed


def _frames(site: Node) -> list[Any]:
    """The vectorized plates of a site, the outermost dimension first."""
    return sorted((f for f in site["cond_indep_stack"] if f.vectorized), key=lambda frame: frame.dim)


def _spread(cells: Tensor, frames: Iterable[Any]) -> Tensor:
    """One number for each cell of the plates, and no other dimensions."""
    frames = list(frames)
    depth = max((-frame.dim for frame in frames), default=0)
    cells = cells.reshape((1,) * (depth - cells.dim()) + cells.shape)
    sizes = {frame.dim: frame.size for frame in frames}
    shape = [sizes.get(dim, cells.shape[dim]) for dim in range(-cells.dim(), 0)]
    cells = cells.expand(shape)
    batch = [dim for dim in range(-cells.dim(), 0) if dim not in sizes]
    return cells.sum(batch) if batch else cells


def _joined(names: list[str]) -> str:
    return "_".join(names) if len(names) < 4 else f"{names[0]}_to_{names[-1]}"
