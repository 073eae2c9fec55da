"""Networks with no probability in them."""

from ppl_gen.networks.mlp import check_network, mlp

__all__ = ["check_network", "mlp"]
