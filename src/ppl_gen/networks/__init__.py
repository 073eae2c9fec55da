"""Networks with no probability in them."""

from ppl_gen.networks.mlp import mlp

__all__ = ["mlp"]
