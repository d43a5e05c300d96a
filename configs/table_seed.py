"""TUKL's Tab. 1 over seeds: weight decay and block norm on three sets of scenes, AlexNet and AlexNet-B.

Needs:  places365_small and Broden (docs/data.md), by --config.data.directory=DIR --config.dissection.broden=DIR.
Run:    interpjax table table_seed --workdir=DIR --config.data.directory=DATA --config.dissection.broden=DATA
Cost:   36 trainings of 90 epochs on GPUs; docs/scaling.md reckons how long they take.
Expect: the published single runs, which the table shows beside ours. Not reproduced here.
"""

import interpjax
from interpjax.configs import common
from interpjax.tables import Row, Table

PUBLISHED = {  # weight decay, block norm
    ("Places365", "places365", "alexnet"): (130, 187),
    ("Places365", "places365", "alexnet_b"): (148, 166),
    ("Places50₁", "places50_1", "alexnet"): (119, 142),
    ("Places50₁", "places50_1", "alexnet_b"): (105, 115),
    ("Places50₂", "places50_2", "alexnet"): (117, 130),
    ("Places50₂", "places50_2", "alexnet_b"): (106, 111),
}


def get_table() -> Table:
    """Twelve rows, three seeds."""
    rows = []
    for (data, config, model), scores in PUBLISHED.items():
        for kind, score in zip(("wd", "gbn"), scores, strict=True):
            experiment = interpjax.get_config(f"{config}:model={model},regularizer={kind}")
            section, name = f"{data}, {common.NETWORKS[model]}", common.REGULARIZERS[kind]
            rows.append(Row(section, name, experiment, {"interpretability_score": score}))
    return Table(
        title="Interpretability score with weight decay and with the block norm",
        rows=tuple(rows),
        seeds=(0, 1, 2),
        columns=("accuracy", "interpretability_score", "calibrated", "by_chance", "untrained", "rud"),
        notes="Published: single runs, the baselines downloaded; the classes of Places50 are ours (configs/common.py).",
    )
