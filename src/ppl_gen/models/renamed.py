"""A naive Bayes whose program speaks of a mixture: the names of its variables, and sticks for its weights."""

from typing import Any

from pyro.distributions import Beta
from pyro.poutine.messenger import Messenger

from ppl_gen.distributions import stick_lengths

NAMES = {"y": "z", "classes": "components"}


class Renamed(Messenger):
    """Call what a naive Bayes samples by a mixture's names; draw sticks for weights, where there are any."""

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        if msg["name"] == "pi" and msg["fn"].batch_shape:  # a Dirichlet of two for each stick
            msg["name"], msg["fn"] = "v", Beta(*msg["fn"].concentration.unbind(-1)).to_event(1)
        msg["name"] = NAMES.get(msg["name"], msg["name"])
        msg["cond_indep_stack"] = tuple(
            frame._replace(name=NAMES.get(frame.name, frame.name)) for frame in msg["cond_indep_stack"]
        )

    def _pyro_post_sample(self, msg: dict[str, Any]) -> None:
        if msg["name"] == "v":  # the program goes on with the weights that the sticks leave
            msg["value"] = stick_lengths(msg["value"])
