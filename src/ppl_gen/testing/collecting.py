"""``pytest --ppl-gen-models answer.py``: each check of each model of a file is a test. Loaded when asked."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from ppl_gen.core import ProbabilisticModel, dtype_of
from ppl_gen.errors import BrokenModel, DataError, NotationError
from ppl_gen.notation import Factorization
from ppl_gen.testing.examination import CHECKS, Examination, NotReached

SHAPES = ((), (2,), (3,), (1,))  # of a row of an input, where the model does not tell


class ModelFiles:
    """The hooks, for the files that the option names."""

    def __init__(self, config: pytest.Config, files: Iterable[str]):
        self.paths = {(config.invocation_params.dir / file).resolve() for file in files}
        for path in sorted(self.paths):
            if not path.is_file():
                raise pytest.UsageError(f"--ppl-gen-models: there is no file {path}")
        own = config.args_source is pytest.Config.ArgsSource.ARGS  # beside the models, or they alone
        known = list(config.args) if own else []
        config.args = known + [str(path) for path in sorted(self.paths) if str(path) not in known]

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> Any:
        """Look for models beside tests."""
        return ModelFile.from_parent(parent, path=module_path) if module_path in self.paths else None


class ModelFile(pytest.Module):
    """A file whose models are checked."""

    def collect(self) -> Iterable[Any]:
        """Tests, if there are any, and the checks of every model."""
        items: list[Any] = list(super().collect())
        for name, model, given in found_in(self.obj):
            if isinstance(model, Exception):
                items.append(ModelCheck.from_parent(self, name=f"{name}[constructor]", error=model))
                continue
            examination = cache(partial(examined, model, given))
            items += [
                ModelCheck.from_parent(self, name=f"{name}[{check}]", check=check, examination=examination)
                for check in CHECKS
            ]
        if not items:
            raise self.CollectError(f"{self.path.name} has no ProbabilisticModel")
        return items


class ModelCheck(pytest.Item):
    """One check of one model."""

    def __init__(
        self,
        *,
        check: str = "",
        examination: Callable[[], Examination] | None = None,
        error: Exception | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.check, self.examination, self.error = check, examination, error

    def runtest(self) -> None:
        """Raise what is wrong."""
        if self.error is not None:
            raise self.error
        assert self.examination is not None
        examination = self.examination()
        try:
            examination.check(self.check)
        except NotReached as reason:
            pytest.skip(str(reason))
        except BrokenModel as error:
            raise BrokenModel(f"{error}{made_up(examination)}") from None

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The message; where the mistake is stands in it, so there is no need of a traceback."""
        if isinstance(excinfo.value, BrokenModel | DataError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """What pytest prints above a failure."""
        return self.path, None, self.name


def found_in(module: ModuleType) -> Iterator[tuple[str, Any, dict[str, Any] | None]]:
    """The models of a module, each with its inputs, if they are known.

    Its instances; pairs of one and its inputs, as ``checked = (Line(), {"x": x})``; and its own classes
    without an instance, made with small sizes. In the place of a model that cannot be made comes the error.
    """
    pairs = {k: v for k, v in vars(module).items() if _is_pair(v)}
    paired = [id(model) for model, _ in pairs.values()]
    instances = {k: v for k, v in vars(module).items() if isinstance(v, ProbabilisticModel)}
    yield from ((k, model, given) for k, (model, given) in pairs.items())
    yield from ((k, model, None) for k, model in instances.items() if id(model) not in paired)
    kept = [model for model, _ in pairs.values()] + list(instances.values())
    for name, cls in list(vars(module).items()):
        model = isinstance(cls, type) and issubclass(cls, ProbabilisticModel)
        if model and cls.__module__ == module.__name__ and not any(isinstance(k, cls) for k in kept):
            yield *made(name, cls), None


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and [*map(type, value)][1:] == [dict]
        and isinstance(value[0], ProbabilisticModel)
    )


def made(name: str, cls: type[ProbabilisticModel]) -> tuple[str, Any]:
    """An instance of a class with sizes of 2, 3, …, and its name with them."""
    required = [
        parameter.name
        for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    sizes = {size: number for number, size in enumerate(required, 2)}
    shown = f"{name}({', '.join(f'{k}={v}' for k, v in sizes.items())})"
    try:
        return shown, cls(**sizes)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        return shown, DataError(
            f"{shown} cannot be made: {said}\nKeep a model to check in the module: m = {name}(…)"
        )


def examined(model: ProbabilisticModel, given: dict[str, Any] | None) -> Examination:
    """The examination of a model, with inputs of the shape under which it gets furthest if none came.

    The rows of an input may be single numbers, or rows of them: only the program knows.
    """
    if given is not None:
        return Examination(model, given)
    tried = []
    for shape in SHAPES:
        examination = Examination(model, inputs_of(model, shape))
        examination.made_up = not _known(model)
        try:
            examination.check(CHECKS[-1])
        except (BrokenModel, NotReached, DataError, ValueError):
            tried.append(examination)
            if not examination.made_up:
                break
        else:
            return examination
    return max(tried, key=lambda each: len(each.found))  # the first of several


def _known(model: ProbabilisticModel) -> bool:
    """Whether the shapes of all inputs are known, or there are none."""
    try:
        given = Factorization(model.joint).given
    except NotationError:
        return True
    return all(model.given_levels(name) or model.given_shape(name) is not None for name in given)


def made_up(examination: Examination) -> str:
    """What the inputs were, and how to give others, if the plugin made them up."""
    model, given = examination.model, examination.given
    if not examination.made_up:
        return ""
    shapes = ", ".join(f"{name}: {tuple(value.shape)}" for name, value in given.items())
    name = type(model).__name__
    values = ", ".join(f'"{name}": …' for name in given)
    pair = f"({name}(…), {{{values}}})"
    return f"\n    inputs  made up, {shapes}; to give others, keep in the file: checked = {pair}"


def inputs_of(model: ProbabilisticModel, unknown: tuple[int, ...] = ()) -> dict[str, Any]:
    """Eight rows of what the joint is given: codes of classes, or Normal numbers.

    Of shape ``unknown`` each if the model does not tell.
    """
    generator = torch.Generator().manual_seed(0)
    try:
        given = Factorization(model.joint).given
    except NotationError:
        return {}  # the first check says so
    found = {}
    for name in sorted(given):
        shape, levels = model.given_shape(name), model.given_levels(name)
        shape = unknown if shape is None else shape
        numbers = torch.randn(8, *shape, generator=generator, dtype=dtype_of(model))
        found[name] = torch.arange(8) % levels if levels else numbers
    return found
