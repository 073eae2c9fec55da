"""``python -m ppl_gen``, the same as ``ppl-gen``."""

import sys

from ppl_gen.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
