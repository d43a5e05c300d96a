"""The masks that are drawn are those that were counted."""

import numpy as np
import pytest
from broden_layout import add_channels, make_broden

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.visualization.masks import counted_mask


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "paper" else pytest.mark.long) for name in sorted(dissection.PROTOCOLS)],
)
def test_masks_are_drawn_as_they_were_counted(tmp_path, name):
    broden = load_broden(add_channels(make_broden(tmp_path / "broden")))
    maps = np.random.default_rng(0).normal(size=(len(broden.records), 5, 5, 3)).astype(np.float32)
    result = dissection.dissect_arrays(
        {"layer": maps},
        broden,
        images=[record.name for record in broden.records],
        protocol=dissection.get_protocol(name, unit_area="all", top_quantile=0.05, categories=None),
    )["layer"]
    for unit in range(3):
        area = sum(
            counted_mask(own[..., unit], result, unit, record.label_shape, record.image_shape).sum()
            for own, record in zip(maps, broden.records, strict=True)
        )
        assert area == result.unit_area[unit, 0] > 0
