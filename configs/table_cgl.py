"""CGL's Tab. 2 and 3 over seeds: weight decay, block norm and all three terms, on Places365 and on ImageNet.

Needs:  Broden, and places365_small or imagenet2012 (docs/data.md), by --config.data.directory=DIR
        --config.dissection.broden=DIR.
Run:    interpjax table table_cgl --workdir=DIR --config.data.directory=DATA --config.dissection.broden=DATA for
        Places365, and table_cgl:imagenet for ImageNet.
Cost:   24 and 15 trainings of 90 epochs on GPUs; docs/scaling.md reckons how long they take.
Expect: the published single runs, which the table shows beside ours. Not reproduced here.
"""

import interpjax
from interpjax.configs import common
from interpjax.errors import UserError
from interpjax.tables import Row, Table

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "interpretability_score")
DETECTORS = {  # unique detectors of conv1 to conv5, and their sum, which are given for Places365 alone
    ("alexnet", "wd"): (6, 12, 22, 36, 54, 130),
    ("alexnet", "gbn"): (6, 16, 36, 46, 69, 173),
    ("alexnet", "cgl"): (8, 17, 35, 50, 75, 185),
    ("alexnet_b", "wd"): (6, 13, 27, 43, 59, 148),
    ("alexnet_b", "gbn"): (6, 15, 30, 44, 62, 157),
    ("alexnet_b", "cgl"): (5, 17, 30, 51, 63, 166),
}
SCORES = {  # of VGG16 over five layers
    "places365": {key: numbers[-1] for key, numbers in DETECTORS.items()}
    | {("vgg16", "wd"): 315, ("vgg16", "cgl"): 332},
    "imagenet": {
        ("alexnet", "wd"): 136,
        ("alexnet", "gbn"): 137,
        ("alexnet", "cgl"): 141,
        ("vgg16", "wd"): 259,
        ("vgg16", "cgl"): 266,
    },
}
ACCURACIES = {  # top-1, %
    "places365": {
        ("alexnet", "wd"): 51.14,
        ("alexnet", "cgl"): 50.46,
        ("alexnet_b", "wd"): 51.32,
        ("alexnet_b", "cgl"): 50.46,
        ("vgg16", "wd"): 54.91,
        ("vgg16", "cgl"): 54.91,
    },
    "imagenet": {
        ("alexnet", "wd"): 56.30,
        ("alexnet", "cgl"): 55.09,
        ("vgg16", "wd"): 71.79,
        ("vgg16", "cgl"): 70.55,
    },
}
DATA = {"places365": "Places365", "imagenet": "ImageNet"}


def get_table(argument: str = "places365") -> Table:
    """The rows on Places365, eight, or with the argument ``imagenet`` those on ImageNet, five; three seeds."""
    if argument not in DATA:
        raise UserError(f"argument {argument!r} of table_cgl: expected places365, as without an argument, or imagenet")
    rows = []
    for (model, kind), score in SCORES[argument].items():
        published = {"interpretability_score": float(score)}
        if (model, kind) in ACCURACIES[argument]:
            published["accuracy"] = ACCURACIES[argument][model, kind]
        if argument == "places365":
            published |= dict(zip(LAYERS, map(float, DETECTORS.get((model, kind), ())), strict=False))
        experiment = interpjax.get_config(f"{argument}:model={model},regularizer={kind}")
        section = f"{DATA[argument]}, {common.NETWORKS[model]}"
        rows.append(Row(section, common.REGULARIZERS[kind], experiment, published))
    return Table(
        title=f"Unique detectors by layer on {DATA[argument]}",
        rows=tuple(rows),
        seeds=(0, 1, 2),
        columns=("accuracy", *LAYERS, "calibrated", "by_chance"),
        notes="Published: single runs, the baselines downloaded. The strengths of the activation losses are ours.",
    )
