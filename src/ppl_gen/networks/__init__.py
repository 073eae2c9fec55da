"""Networks with no probability in them."""

from ppl_gen.networks.choice import decoder_of, encoder_of
from ppl_gen.networks.conv import ConvDecoder, ConvEncoder, output_bias
from ppl_gen.networks.mlp import beside, check_network, mlp

__all__ = [
    "ConvDecoder",
    "ConvEncoder",
    "beside",
    "check_network",
    "decoder_of",
    "encoder_of",
    "mlp",
    "output_bias",
]
