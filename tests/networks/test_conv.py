"""Convolutions keep leading dimensions, and treat each row by itself."""

import pytest
import torch

from ppl_gen.errors import DataError
from ppl_gen.networks import ConvDecoder, ConvEncoder, beside, decoder_of, encoder_of


@pytest.mark.parametrize("side", [1, 5, 8, 28])
def test_shapes_of_any_square_image_and_any_leading_dimensions(side):
    encoder = ConvEncoder(side**2, (3, 4), 6)
    decoder = ConvDecoder(2, (4, 3), side**2, 5)
    x, z = torch.randn(7, 2, side**2), torch.randn(7, 2, 2)
    assert encoder(x).shape == (7, 2, 6)
    assert decoder(z).shape == (7, 2, side**2 * 5)
    torch.testing.assert_close(encoder(x)[3, 1], encoder(x[3, 1:2])[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(decoder(z)[3, 1], decoder(z[3, 1:2])[0], rtol=1e-4, atol=1e-5)


def test_a_pixel_s_outputs_stand_together_in_the_pixel_s_place():
    """What the last convolution makes of a pixel stands in the pixel's place."""
    decoder = ConvDecoder(1, (2,), 64, 3)
    last = {}
    decoder.body[0].register_forward_hook(lambda m, i, o: last.update(out=o))
    out = decoder(torch.randn(1, 1)) - decoder.bias
    cells = out.reshape(8, 8, 3)
    torch.testing.assert_close(cells, last["out"][0].permute(1, 2, 0), rtol=0, atol=0)


def test_what_is_no_image_is_refused():
    with pytest.raises(DataError, match=r"features: expected the pixels of a square image, .* got 63"):
        ConvEncoder(63, (2,), 1)
    with pytest.raises(DataError, match='network: expected "mlp" or "conv", got \'cnn\''):
        encoder_of("cnn", 64, (2,), 1)
    with pytest.raises(DataError, match="network: expected"):
        decoder_of("cnn", 2, (2,), 64, 1)


def test_classes_beside_rows_broadcast_and_are_checked():
    x = torch.randn(4, 2)
    every = beside(x, torch.arange(3)[:, None], 3)
    assert every.shape == (3, 4, 5)
    assert every[2, 1].tolist() == [*x[1].tolist(), 0.0, 0.0, 1.0]
    for wrong in (torch.tensor([0, 1, 2, 3]), torch.tensor([0, -1, 0, 0]), torch.tensor([0.5, 0, 0, 0])):
        with pytest.raises(DataError, match="y: expected class codes 0 to 2"):
            beside(x, wrong, 3)
