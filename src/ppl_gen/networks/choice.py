"""Encoders and decoders by name."""

from collections.abc import Sequence

from torch import nn

from ppl_gen.errors import DataError
from ppl_gen.networks.conv import ConvDecoder, ConvEncoder
from ppl_gen.networks.mlp import mlp


def encoder_of(
    network: str, features: int, hidden: Sequence[int], outputs: int, dropout: float = 0.0
) -> nn.Module:
    """A network from (…, features) to (…, outputs): "mlp", or "conv" for square images."""
    if _known(network) == "conv":
        return ConvEncoder(features, hidden, outputs, dropout=dropout)
    return mlp(features, hidden, outputs, dropout=dropout)


def decoder_of(
    network: str, inputs: int, hidden: Sequence[int], features: int, outputs: int, dropout: float = 0.0
) -> nn.Module:
    """A network from (…, inputs) to (…, features outputs), its layers those of the encoder backwards."""
    layers = list(hidden)[::-1]
    if _known(network) == "conv":
        return ConvDecoder(inputs, layers, features, outputs, dropout=dropout)
    return mlp(inputs, layers, features * outputs, dropout=dropout)


def _known(network: str) -> str:
    if network not in ("mlp", "conv"):
        raise DataError(f'network: expected "mlp" or "conv", got {network!r}')
    return network
