"""The GPU hours that the large tables would take, reckoned from what their networks compute.

Nothing is trained. XLA counts the operations of a forward pass of one image; training takes three times as many, and a
GPU is supposed to do as many a second as an A100 did for ResNet-50 in TF32, by NVIDIA's figure (docs/scaling.md). The
time of evaluation and dissection is not in it.

Run:   python benchmarks/table_costs.py       (or some of these tables, by their names)
Cost:  a minute, and 2 GB.
"""

import argparse
import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import pandas as pd

from interpjax import models
from interpjax.tables import read_table

TABLES = ("table_seed", "table_cgl", "table_cgl:imagenet", "table_architectures")
IMAGES = {"places365_small": 1_803_460, "imagenet2012": 1_281_167}  # to train on
CLASSES = {"places365_small": 365, "imagenet2012": 1000}
OPERATIONS_A_SECOND = 938 * 23.8e9  # images a second, and operations of an image, both of training ResNet-50
FORWARD_AND_BACKWARD = 3  # forward passes that a training step is worth


def operations(name: str, side: int, classes: int) -> float:
    """Of a forward pass of one image, additions and multiplications apart."""
    model = models.create_model(name, num_classes=classes)
    image = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    variables = models.outline(model, side).variables
    counted: Any = jax.jit(lambda values, images: model.apply(values, images)).lower(variables, image).cost_analysis()
    return float(counted["flops"])


def costs(names: Sequence[str]) -> pd.DataFrame:
    """A row for each table and network: its runs, and the hours of one GPU that one run and all of them take."""
    counted = functools.cache(operations)
    found = []
    for name in names:
        table = read_table(name)
        runs: Counter[tuple[str, str, int, int, float]] = Counter()
        for row in table.rows:
            data, epochs = row.config.data, row.config.training.num_epochs
            classes = len(data.classes) or CLASSES[data.tfds_name]
            runs[row.config.model.name, data.tfds_name, classes, data.image_size, epochs] += len(
                row.seeds or table.seeds
            )
        for (model, data_name, classes, side, epochs), count in runs.items():
            images = epochs * IMAGES[data_name] * classes / CLASSES[data_name]
            hours = images * FORWARD_AND_BACKWARD * counted(model, side, classes) / OPERATIONS_A_SECOND / 3600
            own = {"table": name, "network": model, "classes": classes, "runs": count}
            found.append(own | {"hours of one": hours, "hours of all": count * hours})
    return pd.DataFrame(found)


def main() -> None:
    """Prints the hours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=TABLES, metavar="TABLE")
    found = costs(parser.parse_args().tables)
    print(found.round(1).to_string(index=False))
    print(found.groupby("table", sort=False)["hours of all"].sum().round(0).to_string())


if __name__ == "__main__":
    main()
