"""Convolutional networks for square images that come as rows of pixels."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ppl_gen.errors import DataError


class ConvEncoder(nn.Module):
    """Images as rows (…, side²) to ``outputs`` numbers each: 3 × 3 convolutions that halve the side.

    >>> ConvEncoder(features=64, channels=(8, 16), outputs=4)(torch.zeros(5, 64)).shape
    torch.Size([5, 4])
    """

    def __init__(self, features: int, channels: Sequence[int], outputs: int, *, dropout: float = 0.0):
        super().__init__()
        self.sizes, layers, inputs = sides(features, len(channels)), [], 1
        for size in channels:
            layers += [nn.Conv2d(inputs, size, 3, stride=2, padding=1), nn.SiLU()]
            inputs = size
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout))
        self.head = nn.Linear(inputs * self.sizes[-1] ** 2, outputs)

    def forward(self, x: Tensor) -> Tensor:
        images = x.reshape(-1, 1, self.sizes[0], self.sizes[0])
        out: Tensor = self.head(self.body(images))
        return out.reshape(*x.shape[:-1], -1)


class ConvDecoder(nn.Module):
    """``inputs`` numbers to images as rows (…, side² outputs): convolutions, the side doubled before each.

    A pixel's ``outputs`` numbers stand together; each has a bias of its own.

    >>> ConvDecoder(inputs=2, channels=(16, 8), features=64, outputs=3)(torch.zeros(5, 2)).shape
    torch.Size([5, 192])
    """

    def __init__(
        self, inputs: int, channels: Sequence[int], features: int, outputs: int, *, dropout: float = 0.0
    ):
        super().__init__()
        self.sizes, widths = sides(features, len(channels))[::-1], [*channels, outputs]
        self.head = nn.Sequential(nn.Linear(inputs, widths[0] * self.sizes[0] ** 2), nn.Dropout(dropout))
        pairs = itertools.pairwise(widths)
        self.body = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairs)
        self.bias = nn.Parameter(torch.zeros(features * outputs))

    def forward(self, z: Tensor) -> Tensor:
        images = self.head(z).reshape(-1, self.body[0].in_channels, self.sizes[0], self.sizes[0])
        for convolution, size in zip(self.body, self.sizes[1:], strict=True):
            larger = nn.functional.interpolate(nn.functional.silu(images), size=(size, size))
            images = convolution(larger)
        return images.movedim(1, -1).reshape(*z.shape[:-1], -1) + self.bias


def sides(features: int, halvings: int) -> list[int]:
    """The side of an image of ``features`` pixels, and after each halving (rounded up).

    >>> sides(784, 2)
    [28, 14, 7]
    """
    side = math.isqrt(features)
    if side**2 != features:
        raise DataError(f"features: expected the pixels of a square image, such as 64 or 784, got {features}")
    sizes = [side]
    for _ in range(halvings):
        sizes.append(-(-sizes[-1] // 2))
    return sizes


def output_bias(network: nn.Module) -> nn.Parameter | None:
    """The bias added to the outputs of a network made here, or of one that ends in a linear layer."""
    last = network[-1] if isinstance(network, nn.Sequential) else network
    bias = getattr(last, "bias", None) if isinstance(last, nn.Linear | ConvDecoder) else None
    return bias if isinstance(bias, nn.Parameter) else None
