"""CGL's Tab. 2 and 3 over seeds: weight decay, block norm and all three terms on Places365.

Needs:  places365_small and Broden (docs/data.md), by --config.data.directory=DIR --config.dissection.broden=DIR. The
        rows on ImageNet are those of configs/imagenet.py, whose data are others.
Run:    interpjax table table_cgl --workdir=DIR --config.data.directory=DATA --config.dissection.broden=DATA
Cost:   24 trainings of 90 epochs on GPUs; docs/scaling.md reckons how long each takes.
Expect: the published single runs, which the table shows beside ours. Not reproduced here.
"""

import interpjax
from interpjax.configs import common
from interpjax.tables import Row, Table

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "interpretability_score")
PUBLISHED = {  # unique detectors of conv1 to conv5, and their sum
    ("alexnet", "wd"): (6, 12, 22, 36, 54, 130),
    ("alexnet", "gbn"): (6, 16, 36, 46, 69, 173),
    ("alexnet", "cgl"): (8, 17, 35, 50, 75, 185),
    ("alexnet_b", "wd"): (6, 13, 27, 43, 59, 148),
    ("alexnet_b", "gbn"): (6, 15, 30, 44, 62, 157),
    ("alexnet_b", "cgl"): (5, 17, 30, 51, 63, 166),
}
SCORES = {("vgg16", "wd"): 315, ("vgg16", "cgl"): 332}  # over five layers
ACCURACIES = {  # top-1, %
    ("alexnet", "wd"): 51.14,
    ("alexnet", "cgl"): 50.46,
    ("alexnet_b", "wd"): 51.32,
    ("alexnet_b", "cgl"): 50.46,
    ("vgg16", "wd"): 54.91,
    ("vgg16", "cgl"): 54.91,
}


def get_table() -> Table:
    """Eight rows, three seeds."""
    rows = []
    for model, kind in (*PUBLISHED, *SCORES):
        published = dict(zip(LAYERS, map(float, PUBLISHED.get((model, kind), ())), strict=False))
        if (model, kind) in SCORES:
            published["interpretability_score"] = SCORES[model, kind]
        if (model, kind) in ACCURACIES:
            published["accuracy"] = ACCURACIES[model, kind]
        experiment = interpjax.get_config(f"places365:model={model},regularizer={kind}")
        rows.append(Row(f"Places365, {common.NETWORKS[model]}", common.REGULARIZERS[kind], experiment, published))
    return Table(
        title="Unique detectors by layer on Places365",
        rows=tuple(rows),
        seeds=(0, 1, 2),
        columns=("accuracy", *LAYERS, "calibrated", "by_chance"),
        notes="Published: single runs, the baselines downloaded. The strengths of the activation losses are ours.",
    )
