"""The contract one check at a time: for pytest, where each is a test with a name and a grade of its own."""

from collections.abc import Iterable, Mapping
from typing import Any

from ppl_gen.checks import called
from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import BrokenModel, DataError
from ppl_gen.isolation import isolated
from ppl_gen.testing.case import Case
from ppl_gen.testing.contract import CONTRACT

CHECKS = tuple(rule.__name__ for rule in CONTRACT)  # their names, in order


class NotReached(Exception):
    """A check that needs what an earlier one found broken."""


class Examination:
    """The checks of one model in the order of the contract; each runs once, from a fixed seed."""

    def __init__(self, model: Any, given: Mapping[str, Any]):
        if not isinstance(model, ProbabilisticModel):
            raise DataError(f"model: expected a ProbabilisticModel, got {called(model)}")
        self.model, self.given = model, dict(given)
        self.made_up = False  # whether nobody gave the inputs
        self.case: Case | None = None
        self.found: dict[str, Exception | None] = {}

    def check(self, name: str) -> None:
        """Run the check ``name``, and before it those that it needs.

        Raises:
            BrokenModel: the model breaks this one.
            NotReached: it breaks an earlier one.
        """
        __tracebackhide__ = True
        for rule in CONTRACT:
            here = rule.__name__
            if here not in self.found:
                self.found[here] = self._run(rule)
            error = self.found[here]
            if error is not None and here != name:
                raise NotReached(f"comes after {here!r}, which fails: {str(error).splitlines()[0]}")
            if error is not None:
                raise error.with_traceback(None)
            if here == name:
                return
        raise DataError(f"check: expected one of {', '.join(CHECKS)}, got {name!r}")

    def _run(self, rule: Any) -> Exception | None:
        try:
            with isolated(0, grad=True, validate=True):
                self.case = self.case or Case(self.model, self.given)
                rule(self.case)
        except (BrokenModel, DataError, ValueError) as error:
            return error
        return None


class Check:
    """One check of one model; called with the model, as scikit-learn's are with an estimator."""

    def __init__(self, name: str, examination: Examination):
        self.name, self.examination = name, examination

    def __call__(self, model: ProbabilisticModel) -> None:
        """Raise a BrokenModel if ``model`` breaks this check; skip the test if it breaks an earlier one."""
        __tracebackhide__ = True
        import pytest

        own = self.examination
        try:
            (own if model is own.model else Examination(model, own.given)).check(self.name)
        except BrokenModel as error:
            raise error.with_traceback(None) from None  # the message says where; what torch said is no help
        except NotReached as reason:
            pytest.skip(str(reason))

    def __repr__(self) -> str:
        return self.name


def parametrize_with_checks(models: Iterable[Any]) -> Any:
    """A pytest decorator: every check of `check_model`, for every model, is a test of its own.

    A check that needs what an earlier one found broken is skipped, and says so. Named after scikit-learn's.

    Args:
        models: models; one whose joint is given something comes with it, as in ``(model, {"x": x})``.

    Raises:
        DataError: something that is no model came.

    >>> from ppl_gen.models import VAE
    >>> @parametrize_with_checks([VAE(features=3, latent=2)])
    ... def test_keeps_the_contract(model, check):
    ...     check(model)
    """
    import pytest

    parameters = []
    for item in models:
        model, given = item if isinstance(item, tuple) else (item, {})
        examination = Examination(model, given)
        name = type(model).__name__
        parameters += [
            pytest.param(model, Check(check, examination), id=f"{name}-{check}") for check in CHECKS
        ]
    return pytest.mark.parametrize(("model", "check"), parameters)
