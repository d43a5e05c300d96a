"""ResNet and DenseNet over seeds, which the seed names as future work: weight decay, block norm and all three terms.

Needs:  places365_small and Broden (docs/data.md), by --config.data.directory=DIR --config.dissection.broden=DIR.
Run:    interpjax table table_architectures --workdir=DIR --config.data.directory=DATA --config.dissection.broden=DATA
Cost:   27 trainings of 90 epochs on GPUs; docs/scaling.md reckons how long they take.
Expect: nothing is published. Not run here.
"""

import interpjax
from interpjax.configs import common
from interpjax.tables import Row, Table

NETWORKS = ("resnet18", "resnet50", "densenet121")


def get_table() -> Table:
    """Nine rows, three seeds."""
    rows = [
        Row(
            f"Places365, {common.NETWORKS[model]}",
            name,
            interpjax.get_config(f"places365:model={model},regularizer={kind}"),
        )
        for model in NETWORKS
        for kind, name in common.REGULARIZERS.items()
    ]
    return Table(
        title="Interpretability score of deeper networks",
        rows=tuple(rows),
        seeds=(0, 1, 2),
        columns=("accuracy", "interpretability_score", "calibrated", "by_chance", "untrained", "rud"),
    )
