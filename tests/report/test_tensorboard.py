"""What TensorBoard gets of a finished run: outlines drawn where the masks end, hyperparameters and scores once."""

import json

import cv2
import event_files
import numpy as np
import pytest
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from interpjax.config import default_config, override, to_json
from interpjax.report.tensorboard import BORDER, LINE, outlined, write_events
from interpjax.visualization.outlines import outline
from interpjax.visualization.thumbnails import SIDE, picture

SUMMARY = {
    "accuracy": 0.75,
    "interpretability_score": 3,
    "rud": 0.125,
    "layers": {"conv1": {"unique_detectors": 1}, "conv2": {"unique_detectors": 2}},
    "num_steps": 6,
}


def drawn(mask, side):
    """Which pixels of a grey picture a mask's outline changes."""
    grey = np.full((side, side, 3), 128, np.uint8)
    return np.abs(outlined(picture(grey), outline(mask)).astype(int) - 128).max(axis=2) > 24


@pytest.mark.parametrize("side", [SIDE, 40])
def test_the_outline_is_drawn_along_the_border_of_the_mask_and_nowhere_else(side):
    mask = np.zeros((80, 80), bool)
    mask[20:40, 10:60] = True
    mask[28:32, 30:40] = False  # a hole
    line = drawn(mask, side)
    assert line.shape == (SIDE, SIDE)
    large = cv2.resize(mask.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    kernel = np.ones((3, 3), np.uint8)
    border = cv2.dilate(large, kernel) != cv2.erode(large, kernel)
    assert not (line & ~(cv2.dilate(border.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)).any()
    assert (cv2.dilate(line.astype(np.uint8), kernel)[border] > 0).mean() > 0.98


def test_the_outline_of_a_whole_image_is_its_edge_and_without_a_mask_nothing_is_drawn():
    line = drawn(np.ones((8, 8), bool), SIDE)
    assert line[[0, -1]].all()
    assert line[:, [0, -1]].all()
    assert not line[4:-4, 4:-4].any()
    assert not drawn(np.zeros((8, 8), bool), SIDE).any()


def test_the_line_is_yellow_on_black_in_rgb():
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    colors = outlined(picture(np.full((SIDE, SIDE, 3), 128, np.uint8)), outline(mask))
    assert {tuple(color) for color in colors.reshape(-1, 3)} >= {LINE, BORDER}


def test_scores_and_hyperparameters_are_written_anew_each_time(tmp_path):
    fields = {"regularizer.block_norm.q": float("inf"), "dissection.layers": ("conv1", "conv2"), "seed": 7}
    config = override(default_config(), fields | {"data.num_threads": 3})
    for accuracy in (0.5, 0.75):
        write_events(tmp_path / "events", SUMMARY | {"accuracy": accuracy}, {}, None, to_json(config))
    values = event_files.read(tmp_path / "events")
    assert {value.tag: (step, value.simple_value) for step, value in values if not value.tag.startswith("_")} == {
        "final/accuracy": (6, 0.75),
        "final/interpretability_score": (6, 3.0),
        "final/rud": (6, 0.125),
        "final/unique_detectors/conv1": (6, 1.0),
        "final/unique_detectors/conv2": (6, 2.0),
    }
    own = {
        value.tag: HParamsPluginData.FromString(value.metadata.plugin_data.content)
        for _, value in values
        if value.metadata.plugin_data.plugin_name == "hparams"
    }
    assert set(own) == {"_hparams_/session_start_info", "_hparams_/session_end_info"}
    hyperparameters = own["_hparams_/session_start_info"].session_start_info.hparams
    assert hyperparameters["regularizer.block_norm.q"].string_value == "Infinity"
    assert json.loads(hyperparameters["dissection.layers"].string_value) == ["conv1", "conv2"]
    assert hyperparameters["seed"].number_value == 7
    assert hyperparameters["model.dropout"].bool_value
    assert "data.num_threads" not in hyperparameters
