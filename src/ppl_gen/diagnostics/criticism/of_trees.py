"""Leave-one-out of a tree: its draws weighted, its variables scored."""

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from ppl_gen.diagnostics.criticism.left_out import LeaveOneOut, fingerprint
from ppl_gen.diagnostics.criticism.replications import Array
from ppl_gen.diagnostics.trees.arviz_bridge import as_draws, left_out_rows, scored_in
from ppl_gen.errors import DataError, Unanswerable, Unreliable
from ppl_gen.inference.signals import users_line
from ppl_gen.notation import Factor, Factorization, read_question


def tree_loo(tree: Any, question: str | None) -> LeaveOneOut:
    """What `loo` says of a tree."""
    names, asked = _asked(tree, question)
    found = left_out_rows(tree, names)
    scores = found.log_likelihood
    rows = (found.log_weights + scores).logsumexp(0)
    fitted = scores.logsumexp(0) - math.log(len(scores))
    if (found.k_hat == -math.inf).any():
        warnings.warn(
            f"loo: all draws give some rows of {', '.join(asked.left)} the same likelihood, as a point does: "
            f"nothing changes where such a row is left out, and its elpd is that of a row that was fitted",
            Unreliable,
            stacklevel=users_line(),
        )
    bad = int((found.k_hat > found.limit).sum())
    how = f"PSIS, {len(scores)} draws; k-hat above {found.limit:.2f} for {bad} of {len(rows)} rows"
    seen = tree.get("observed_data", {})
    mark = fingerprint({n: seen[n].values for n in asked.left}) if all(n in seen for n in asked.left) else ""
    name = str(tree.attrs.get("model", "tree"))
    ours = "joint" in tree.attrs
    return LeaveOneOut(name, asked, rows, fitted, found.k_hat, found.limit, how, mark, found.elpd_data, ours)


def tree_predictions(tree: Any) -> tuple[Array, dict[str, Array], Iterator[dict[str, Array]]]:
    """Weights that leave each row out (draws, n), what was observed, and of each draw what it predicts.

    Raises:
        DataError: a group is missing, or has other rows.
    """
    for group in ("observed_data", "posterior_predictive"):
        if group not in tree:
            raise DataError(f"tree: expected the group {group}: to_arviz(posterior) makes it")
    names = scored_in(tree)
    weights = left_out_rows(tree, names).log_weights.exp().numpy()
    seen, new = tree["observed_data"], tree["posterior_predictive"]
    observed = {str(name): v.values.astype(float) for name, v in seen.data_vars.items() if name in new}
    observed = {name: v for name, v in observed.items() if v.shape[:1] == weights.shape[1:]}
    if not observed:
        raise DataError(f"tree: expected predictions of {weights.shape[1]} rows, as log_likelihood has")
    drawn = {name: as_draws(new[name]).numpy().reshape(-1, *v.shape) for name, v in observed.items()}
    return weights, observed, ({k: v[i] for k, v in drawn.items()} for i in range(len(weights)))


def _asked(tree: Any, question: str | None) -> tuple[list[str], Factor]:
    """What is scored of log_likelihood, and what that is: variables, and what they are given."""
    held = {name: _factor(tree, [name]) for name in scored_in(tree)}
    if question is None:
        return list(held), _factor(tree, list(held))
    if question in held:
        return [question], held[question]
    if "(" not in question:
        raise DataError(f"question: expected one of {', '.join(held)}, or p(…) of them; got {question!r}")
    asked = read_question(question)
    names = [name for name, factor in held.items() if set(factor.left) <= set(asked.left)]
    found = _factor(tree, names) if names else Factor((), ())
    if set(found.left) != set(asked.left) or ("joint" in tree.attrs and set(found.right) != set(asked.right)):
        told = ", ".join(_written(factor) for factor in held.values())
        raise Unanswerable(
            f"{question}: the tree holds {told} of each row, and their product. Other questions take the "
            f"posterior itself: loo(posterior, {question!r})"
        )
    return names, asked


def _written(factor: Factor) -> str:
    bar = f" | {', '.join(factor.right)}" if factor.right else ""
    return f"p({', '.join(factor.left)}{bar})"


def _factor(tree: Any, names: list[str]) -> Factor:
    """What these variables of log_likelihood are densities of, and given what."""
    line = Factorization(str(tree.attrs.get("joint", "")))
    seen = [str(name) for name in tree.get("observed_data", {})]
    fixed = {*seen, *line.given, *(str(name) for name in tree.get("constant_data", {}))}
    # Variables that share what is hidden of a row have one density, under their names in one.
    together = [name for name in line if name in (seen or names[0].split("_"))]
    left = tuple(together) if names == ["_".join(together)] else tuple(names)
    return Factor(left, given(line, left, fixed))


def given(line: Factorization, left: Iterable[str], fixed: Iterable[str]) -> tuple[str, ...]:
    """Which of the ``fixed`` variables reach others along the arrows, what is hidden summed out.

    >>> given(Factorization("p(y) p(z | y) p(x | z)"), ["x"], ["x", "y"])
    ('y',)
    """
    own, fixed = set(left), set(fixed)
    return tuple(sorted((line.ancestors(own, stop=fixed - own) & fixed) - own))
