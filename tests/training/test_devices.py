"""The number of devices changes nothing: same data, same loss curve, batch statistics of the whole batch."""

import numpy as np
import pytest
import tiny

from interpjax import config as config_lib
from interpjax.training.metrics import TIMINGS, read_metrics

SGD = {
    "optimizer__name": "sgd",
    "optimizer__learning_rate": 0.02,
    "optimizer__schedule": "constant",
    "training__num_steps": 20,
    "training__eval_every_steps": 20,
    "model__dropout": False,
}
MODELS = {
    "two_figures_cnn": {"model__width": 0.25},
    # Batch norm in every layer; half of the batch on a device would have quite other statistics.
    "alexnet_b": {
        "model__name": "alexnet_b",
        "model__width": 0.125,
        "data__image_size": 64,
        "data__resize_size": 64,
        "data__two_figures__image_size": 64,
    },
}
# Statistics of soft receptive fields over the whole batch, and (form paper) norms over it; a learned P₁ and P₂.
MODELS["cgl"] = MODELS["two_figures_cnn"] | {
    "regularizer__group_activation__strength": 0.3,
    "regularizer__group_activation__form": "paper",
    "regularizer__group_repulsion__strength": 0.1,
    "regularizer__spatial__strength": 0.1,
    "regularizer__soft_receptive_field__learned": True,
}


@pytest.mark.long
@pytest.mark.parametrize(("name", "counts"), [("two_figures_cnn", (1, 2, 4)), ("alexnet_b", (1, 4)), ("cgl", (1, 4))])
def test_loss_curve_is_the_same_on_any_number_of_devices(name, counts, tmp_path):
    config = tiny.tiny_config(**(SGD | MODELS[name]), data__directory=str(tmp_path / "data"))
    (tmp_path / "config.json").write_text(config_lib.to_json(config))
    curves = {}
    for devices in counts:
        workdir = tmp_path / str(devices)
        process = tiny.start(tiny.TRAIN, str(tmp_path / "config.json"), str(workdir), devices=devices)
        assert tiny.finish(process).split() == [str(devices)]
        curves[devices] = read_metrics(workdir / "metrics.jsonl")
    for devices in counts[1:]:
        for row, expected in zip(curves[devices], curves[1], strict=True):
            for metric in set(expected) - set(TIMINGS):
                # Sparsity is a difference of nearly equal numbers: only its absolute error is small.
                atol = 1e-6 if "hoyer" in metric else 0
                text = f"{metric} {row['step']}"
                np.testing.assert_allclose(row[metric], expected[metric], rtol=1e-4, atol=atol, err_msg=text)
    losses = [row["loss"] for row in curves[1] if "loss" in row]
    assert len(losses) == 20
    first = curves[1][0]
    penalties = sum(value for name, value in first.items() if name.startswith("penalty/"))
    np.testing.assert_allclose(first["loss"], first["cross_entropy"] + penalties, rtol=1e-6)
