"""What pytest loads of ppl-gen: one option. It lies outside the package, whose import would load torch.

PYTEST_DONT_REWRITE
"""

from typing import Any


def pytest_addoption(parser: Any) -> None:
    """Add the option."""
    parser.getgroup("ppl-gen").addoption(
        "--ppl-gen-models",
        action="append",
        default=[],
        metavar="FILE",
        help="check every ppl_gen.ProbabilisticModel of a Python file: each check of check_model is a test",
    )


def pytest_configure(config: Any) -> None:
    """Load the rest, if the option is used."""
    if files := config.getoption("ppl_gen_models"):
        from ppl_gen.testing.collecting import ModelFiles

        config.pluginmanager.register(ModelFiles(config, files), "ppl-gen-models")
