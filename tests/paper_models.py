"""The paper's models (§4.1): three ways to subscale a video, base and large."""

from dataclasses import replace

from svtcli.recipe.model import Model

SPATIOTEMPORAL = Model()
SPATIAL = replace(SPATIOTEMPORAL, video=(4, 64, 64), s=(1, 2, 2))
SINGLE_FRAME = replace(
    SPATIOTEMPORAL,
    s=(16, 1, 1),
    k=(6, 1, 1),
    blocks=((1, 8, 16), (1, 16, 8), (1, 2, 64), (1, 64, 2)),
)


def large(base: Model) -> Model:
    """Hidden size 2048, and 16 heads in the upper half of the layers."""
    return replace(base, d=2048, na=(8, 8, 8, 8, 16, 16, 16, 16))


def with_first_slice_decoder(model: Model) -> Model:
    """Slice (0, 0, 0) by a decoder of its own, twice as deep (Kinetics, §4.3)."""
    return replace(model, first_slice_layers=2 * model.decoder_layers)


PAPER = {
    "spatiotemporal": SPATIOTEMPORAL,
    "spatial": SPATIAL,
    "single_frame": SINGLE_FRAME,
    "spatiotemporal_large": large(SPATIOTEMPORAL),
    "spatial_large": large(SPATIAL),
    "single_frame_large": large(SINGLE_FRAME),
}
