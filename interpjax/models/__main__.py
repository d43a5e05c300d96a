"""Lists the models, or the layers of one: ``python -m interpjax.models [NAME]``."""

import argparse

import jax
import pandas as pd

from interpjax import models

CLASSES = 1000


def list_models() -> pd.DataFrame:
    """A row per model: parameters for 1000 classes, convolutions, blocks, and the smallest image."""
    rows = []
    for name in models.MODELS:
        model = models.create_model(name, num_classes=CLASSES)
        outline = models.outline(model)
        convolutions = len(outline.convolutions)
        rows.append(
            {
                "model": name,
                "parameters": sum(leaf.size for leaf in jax.tree.leaves(outline.variables["params"])),
                "convolutions": convolutions,
                "blocks": len(outline.names) - convolutions,
                "image from": model.smallest,
            }
        )
    return pd.DataFrame(rows)


def list_layers(name: str) -> pd.DataFrame:
    """A row per layer of a model, as :func:`interpjax.models.layers` has it, receptive fields along one axis."""
    table = pd.DataFrame(models.layers(models.create_model(name, num_classes=CLASSES)))
    for number, part in enumerate(("offset", "size", "stride")):
        table[part] = [field[number][0] if field else None for field in table["receptive_field"]]
    return table.drop(columns=["receptive_field", "taps", "same_as", "summed"])


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", choices=models.MODELS, help="of a model; by default all are listed")
    name = parser.parse_args().name
    print((list_layers(name) if name else list_models()).to_string(index=False))


if __name__ == "__main__":
    main()
