"""Whether images made for units excite them more than photographs do, what ablation takes, and a page of 1,152 units.

Run:   python benchmarks/visualization.py maximize SQUEEZENET_FOLDER BRODEN   images made for units of fire5 and fire9
       python benchmarks/visualization.py ablate SQUEEZENET_FOLDER BRODEN     seconds for 32 units of fire9, 8 of fire5
       python benchmarks/visualization.py page BRODEN PAGE.html               of AlexNet, for benchmarks/pages.py
Needs: a directory in Broden's layout; for the first two, the weights and the mean image of the Places365 SqueezeNet.
Cost:  five minutes each on 2 cores.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from dissection_stages import squeezenet_parts

from interpjax import dissection, models
from interpjax import visualization as vis
from interpjax.data import ConceptData, load_broden
from interpjax.regularizers import Grouping

BATCH, SIDE = 32, 224
MAXIMIZED = {"fire5": 16, "fire9": 12}  # units, spread over the layer
ABLATED = {"fire9": 32, "fire5": 8}
PHOTOGRAPHS = 288  # whole batches
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")


def normalized(broden: ConceptData, preprocessing: dissection.Preprocessing) -> Iterator[Any]:
    """The photographs as the network sees them, in batches."""
    for batch in broden.batches(BATCH, image_size=SIDE):
        yield jnp.asarray(preprocessing(batch.images))


def maximize(folder: Path, broden: ConceptData) -> None:
    model, variables, preprocessing = squeezenet_parts(folder)

    @jax.jit
    def activations(images: Any) -> Any:
        taps = models.apply_with_taps(model, variables, images, layers=tuple(MAXIMIZED), stage="pre")[1]
        return {layer: (own.mean(axis=(1, 2)), own.max(axis=(1, 2))) for layer, own in taps.items()}

    seen = [activations(images) for images in normalized(broden, preprocessing)]
    print("| layer | units | mean above all photographs | times as high | largest above all | seconds a unit |")
    print("|---|---|---|---|---|---|")
    for layer, count in MAXIMIZED.items():
        units = np.linspace(0, seen[0][layer][0].shape[1] - 1, count).astype(int).tolist()
        how: dict[str, Any] = {"image_size": SIDE, "preprocessing": preprocessing}
        # The first call compiles, for as many images at once as the second.
        jax.block_until_ready(vis.maximize_activations(model, variables, layer, units[:4], jax.random.key(1), **how))
        start = time.monotonic()
        images = jax.block_until_ready(
            vis.maximize_activations(model, variables, layer, units, jax.random.key(0), **how)
        )
        seconds = (time.monotonic() - start) / count
        made = activations(images)[layer]
        best = [np.max([np.asarray(own[layer][which]).max(axis=0) for own in seen], axis=0)[units] for which in (0, 1)]
        own = [np.asarray(made[which])[np.arange(count), units] for which in (0, 1)]
        times = own[0][best[0] > 0] / best[0][best[0] > 0]
        mean, largest = ((one > other).sum() for one, other in zip(own, best, strict=True))
        ratio = f"{times.min():.1f} to {times.max():.1f}"
        print(f"| {layer} | {count} | {mean} of {count} | {ratio} | {largest} of {count} | {seconds:.1f} |", flush=True)


def ablate(folder: Path, broden: ConceptData) -> None:
    model, variables, preprocessing = squeezenet_parts(folder)
    forward = jax.jit(lambda images: model.apply(variables, images, train=False).argmax(axis=-1))
    images = [own for own, _ in zip(normalized(broden, preprocessing), range(PHOTOGRAPHS // BATCH), strict=False)]
    jax.block_until_ready(forward(images[0]))
    start = time.monotonic()
    batches = [(own, np.asarray(forward(own))) for own in images]  # the class that the network sees
    print(f"{PHOTOGRAPHS} photographs, the network alone: {time.monotonic() - start:.1f} s", flush=True)
    for layer, count in ABLATED.items():
        vis.ablate(model, variables, batches[:1], layer, list(range(count)))  # compiles
        start = time.monotonic()
        vis.ablate(model, variables, batches, layer, list(range(count)))
        print(f"each of {count} units of {layer} set to zero: {time.monotonic() - start:.1f} s", flush=True)


def page(broden: ConceptData, path: Path) -> None:
    model = models.create_model("alexnet", num_classes=365)
    variables = model.init(jax.random.key(0), jnp.zeros((1, SIDE, SIDE, 3)))
    network = dissection.from_jax(
        lambda variables, images: models.apply_with_taps(model, variables, images, layers=LAYERS)[1],
        variables,
        layers=LAYERS,
        preprocessing=dissection.Preprocessing.imagenet(),
    )
    how: dict[str, Any] = {"image_size": SIDE, "batch_size": BATCH}
    groups = dict.fromkeys(LAYERS, Grouping(num_groups=5))
    results = dissection.dissect(network, broden, layers=LAYERS, keep_images=True, groups=groups, **how)
    start = time.monotonic()
    dissection.report(results, broden, network, path, **how)
    print(f"the page was made in {time.monotonic() - start:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("maximize", "ablate", "page"))
    parser.add_argument("paths", type=Path, nargs=2)
    given = parser.parse_args()
    first, second = given.paths
    if given.what == "page":
        page(load_broden(first), second)
    else:
        {"maximize": maximize, "ablate": ablate}[given.what](first, load_broden(second))


if __name__ == "__main__":
    main()
