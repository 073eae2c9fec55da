"""Everything ppl-gen raises on purpose, as one tree.

::

    PplGenError
    ├── Unanswerable (ValueError)      the joint cannot answer this question
    │   ├── UnknownVariable            no such variable in the joint
    │   ├── NotGenerated               the variable is given, not generated
    │   ├── NoDensity                  the variable can be drawn but not scored
    │   ├── NoSampler                  the joint can be scored but not drawn from
    │   ├── NoEvidence                 this method of inference leaves no exact log evidence
    │   └── Unexplained                a latent is neither observed, guided nor enumerable
    ├── NotationError (ValueError)     a line or question that cannot be read; says where
    ├── DataError (ValueError)         input that does not fit; names argument, expectation and what came
    ├── OutOfStep (RuntimeError)       the processes that share a fit lost each other, or differ
    ├── Untraceable (RuntimeError)     a program is no fixed graph of operations; `SVI` then goes on without
    ├── BrokenModel (AssertionError)   check_model found a mistake; names it
    ├── NonFinite (ArithmeticError)    a fit met inf or nan; names step, site and rows; keeps the state before
    └── FileRefused (ValueError)       a file that load, or a fit that would resume, will not read
        ├── DamagedFile                truncated or altered
        ├── ForeignFile                not a ppl-gen file, or of another model or fit
        └── NewerFile                  written by a later version

    Unreliable (UserWarning)           an answer was given, but its own diagnostic says not to trust it
    NotCompiled (UserWarning)          the step of a fit could not be compiled; the fit went on without
    Repeated (UserWarning)         every process did all of a fit, whose method has no part for each
    Interrupted (UserWarning)          a fit was stopped by hand; what it had is returned
    NotSaved (UserWarning)             a checkpoint could not be written, or is damaged; an older one stands
"""

from typing import Any


class PplGenError(Exception):
    """The root of every error that ppl-gen raises on purpose."""


class Unanswerable(PplGenError, ValueError):
    """The joint cannot answer this question."""


class UnknownVariable(Unanswerable):
    """The joint has no variable of this name."""


class NotGenerated(Unanswerable):
    """Asked to generate or score a variable that the model is given."""


class NoDensity(Unanswerable):
    """Asked to score a variable that the model defines only by drawing it."""


class NoSampler(Unanswerable):
    """Asked to draw from a joint that the model defines only up to a constant."""


class NoEvidence(Unanswerable):
    """Asked for an exact log evidence that this method of inference does not know."""


class Unexplained(Unanswerable):
    """A latent variable is neither observed, sampled by the guide, nor finite enough to be summed out."""


class NotationError(PplGenError, ValueError):
    """A joint line or a question that cannot be read; the message points at the place."""


class DataError(PplGenError, ValueError):
    """Input that does not fit: the message names the argument, what was expected and what came.

    Where it came amid a fit, as a batch of a file may, ``posterior`` is the state before that step.
    """

    posterior: Any = None


class OutOfStep(PplGenError, RuntimeError):
    """The processes that share a fit lost each other, or came with different data."""


class Untraceable(PplGenError, RuntimeError):
    """A program cannot be captured as a graph, or not be compiled; `SVI` catches it and goes on without."""


class BrokenModel(PplGenError, AssertionError):
    """`check_model` found a mistake; the message names it and the line of the joint that it breaks."""


class NonFinite(PplGenError, ArithmeticError):
    """A fit met inf or nan at ``step``, in ``site``. ``posterior`` is the state before that step."""

    def __init__(self, message: str, *, step: int, site: str):
        super().__init__(message)
        self.step, self.site = step, site
        self.posterior: Any = None


class FileRefused(PplGenError, ValueError):
    """A file that `load`, or a fit that would resume, will not read."""


class DamagedFile(FileRefused):
    """The file is truncated or was altered after it was written."""


class ForeignFile(FileRefused):
    """The file was not written by `save`, nor is it a checkpoint, or it belongs to another model or fit."""


class NewerFile(FileRefused):
    """The file was written by a later version of ppl-gen."""


class Unreliable(UserWarning):
    """An answer was given, but its own diagnostic says not to trust it."""


class NotCompiled(UserWarning):
    """The step of a fit could not be compiled; the fit went on without, and slower."""


class Repeated(UserWarning):
    """Every process did the whole work of a fit: its method has no part for each."""


class Interrupted(UserWarning):
    """A fit was stopped by hand; the posterior returned is as good as the steps it had."""


class NotSaved(UserWarning):
    """A checkpoint could not be written, or is damaged; the fit goes on, and what was there before stands."""
