"""What a joint does not know of its rows: no constant (potentials), or no density (implicit models)."""

from collections.abc import Iterable, Mapping
from typing import Any

from ppl_gen.errors import NoDensity, NoSampler
from ppl_gen.notation import read_potentials


def up_to_a_constant(p: Any, why: str) -> NoSampler:
    """The refusal of a question about rows of an unnormalised joint."""
    return NoSampler(
        f"{type(p).__name__} is {p}, known only up to a constant ({why}): it can be neither drawn nor "
        f"scored. Parameters can be asked for after a fit; rows need a joint of normalised factors."
    )


def refuse_unscorable(p: Any, observed: Iterable[str], sites: Mapping[str, Any]) -> None:
    """Refuse to learn from data by a density that the model does not have.

    Raises:
        NoDensity: an observed variable is a function of others, as x of a GAN is.
        NoSampler: a potential looks at an observed variable, so the constant Z depends on what is learned.
    """
    for name in observed:
        if name in sites and sites[name].drawn_only:
            raise NoDensity(
                f"{type(p).__name__} is {p}: it draws {name!r}, but gives it no density, so Bayes' rule "
                f"learns nothing from data of {name!r}. Draw it from a distribution around that value, or "
                f"train the model by an objective that compares draws with data."
            )
        for potential, arguments in read_potentials(p.potentials).items():
            if name in arguments:
                raise NoSampler(
                    f"{type(p).__name__} is {p}: the potential {potential!r} looks at the data {name!r}, so "
                    f"the constant Z depends on what is learned, and no bound of the evidence knows it. "
                    f"Write normalised factors, or train the model by an objective that does not need Z."
                )
