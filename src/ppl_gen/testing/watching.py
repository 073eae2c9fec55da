"""What a run of a program does beside its result: where it draws, and what it writes over."""

from typing import Any

from pyro.poutine.messenger import Messenger
from torch import Tensor

from ppl_gen.places import here


class Watch(Messenger):
    """Write down where a run draws what, and see that it changes neither draws nor arguments in place."""

    def __init__(self, case: Any, part: str):
        super().__init__()
        self.case, self.part = case, part
        self.given: dict[str, Any] = {}
        self.drawn: list[str] = []
        self.tensors: list[tuple[str, Tensor, int]] = []

    def hold(self, given: dict[str, Any]) -> None:
        """Keep an eye on the arguments, too."""
        self.given = given
        self.tensors += [(name, v, v._version) for name, v in given.items() if isinstance(v, Tensor)]

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        if (self.part, msg["name"]) not in self.case.places and (place := here(type(self.case).run)):
            self.case.places[self.part, msg["name"]] = place

    def _pyro_post_sample(self, msg: dict[str, Any]) -> None:
        if isinstance(msg["value"], Tensor) and type(msg["fn"]).__name__ != "_Subsample":
            self.drawn.append(msg["name"])
            self.tensors.append((msg["name"], msg["value"], msg["value"]._version))

    def unchanged(self) -> None:
        """Refuse a program that wrote into what it drew, or was given."""
        for name, value, version in self.tensors:
            if value._version != version:
                what = "its argument" if name in self.given else "the draw of"
                self.case.refuse(
                    f"{self.part}() changes {what} {name!r} in place",
                    f"compute a new tensor: {name} = {name} + 1, not {name} += 1; torch.where, not {name}[…]",
                    self.part,
                    name,
                )
