"""Have the chains of NUTS come to one distribution, and are they long enough?"""

import math
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ppl_gen.diagnostics.trees.arviz_bridge import arviz_summary
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.causes import funnel, non_centre
from ppl_gen.diagnostics.trust.checks import Check, fault
from ppl_gen.errors import Unanswerable
from ppl_gen.inference.relabelling import Components, rename
from ppl_gen.isolation import isolated

AGREE, WORTH, DIVERGENT = 1.05, 100.0, 0.005  # R-hat, effective draws, share of divergent draws


def chain_checks(case: Case) -> Iterator[Check]:
    """Divergences, labels, R-hat and effective sample size."""
    posterior = case.posterior
    guide: Any = posterior.guide
    total = guide.chains * guide.draws
    divergent = int((re.search(r"(\d+) divergent", posterior.note) or [0, 0])[1])
    if divergent > DIVERGENT * total:
        pair = funnel(case, 0.0)  # draws that miss the neck tell nothing of scatter
        shown = f"{divergent:,} of {total:,} draws"
        limit: dict[str, Any] = {"value": float(divergent), "limit": DIVERGENT * total}
        if pair:
            where = f"{pair[0]} given {pair[1]}"
            yield fault("funnel", "divergences", shown, non_centre(*pair), where=where, **limit)
        else:
            fix = "take more warm-up, stronger priors of scales, or other coordinates"
            yield fault("divergences", "divergences", shown, fix, **limit)
    else:
        yield Check("divergences", "ok", f"{divergent:,} of {total:,} draws", value=float(divergent))
    if guide.chains < 2 or guide.draws < 4:
        yield Check(
            "chains", "caution", "one chain alone", "nothing tells whether it is stuck", fix="chains=4"
        )
        return
    switched = _switched(case)
    if switched:
        shown = f"components stand in another order in {switched:.0%} of the draws"
        yield fault(
            "label switching",
            "labels",
            shown,
            "take NUTS(relabel=True), or relabelled(posterior); or ask what no naming changes: invariants()",
            value=switched,
            limit=0.0,
        )
    hat, worth, name, drawn = _agreement(guide.values)
    shown = f"largest R-hat {hat:.3f} ({name}), smallest effective sample size {worth:,.0f}"
    numbers: dict[str, Any] = {"value": hat, "limit": AGREE}
    if hat > AGREE and (drawn < 100 or worth < guide.chains * 3) and hat < 1.5 and drawn < 500:
        yield fault("too few draws", "chains", shown, "take more draws and warm-up", where=name, **numbers)
    elif hat > AGREE and (pair := funnel(case, 0.0)):  # chains that hang tell nothing of scatter
        where = f"{pair[0]} given {pair[1]}"
        yield fault("funnel", "chains", shown, non_centre(*pair), where=where, **numbers)
    elif hat > AGREE:
        fix = "start elsewhere (other seeds), take more warm-up, or a model without the second mode"
        yield fault("chains disagree", "chains", shown, fix, where=name, **numbers)
    elif worth < WORTH:
        fix = f"take {math.ceil(4 * WORTH / max(worth, 1)):,} times the draws"
        yield fault("too few draws", "chains", shown, fix, where=name, value=worth, limit=WORTH)
    else:
        yield Check("chains", "ok", shown, "they agree", **numbers)


def _agreement(values: dict[str, Tensor]) -> tuple[float, float, str, int]:
    """The largest R-hat, the smallest effective sample size, the former's parameter, draws of a chain."""
    import xarray

    flat = {
        f"{name}[{i}]" if v[0, 0].numel() > 1 else name: v.flatten(2)[..., i] if v.dim() > 2 else v
        for name, v in values.items()
        for i in range(v[0, 0].numel())
        if float(v.std()) > 0
    }
    arrays = {name: (("chain", "draw"), v.numpy(force=True)) for name, v in flat.items()}
    tree = xarray.DataTree.from_dict({"posterior": xarray.Dataset(arrays)})
    table = arviz_summary(tree, kind="diagnostics", round_to="none").astype(float)
    place = table["r_hat"].to_numpy().argmax()
    worth = float(min(table["ess_bulk"].min(), table["ess_tail"].min()))
    draws = int(next(iter(values.values())).shape[1])
    return float(table["r_hat"].iloc[place]), worth, str(table.index[place]), draws


def _switched(case: Case) -> float:
    """The share of draws whose components stand in another order than in most."""
    guide: Any = case.posterior.guide
    try:
        components = Components("diagnose", case.posterior.joint, case.data)
    except Unanswerable:
        return 0.0
    kept = guide.thinned(25)
    stacked = {name: torch.stack([d[name] for d in kept]) for name in kept[0]}
    with isolated(case.seed):
        found = rename(components, stacked)
    share = found.switched / len(kept)
    return share if share > 0.02 else 0.0
