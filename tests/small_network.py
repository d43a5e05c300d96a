"""A network of a few means, thirteen labelled images for it, and how to dissect them."""

import dataclasses

import cv2
import numpy as np
from broden_layout import make_broden, write_map

from interpjax import dissection
from interpjax.data import load_broden

IMAGES = 13


def thirteen_images(folder):
    """So many that the last batch of two is filled up."""
    return random_images(folder, IMAGES)


def random_images(folder, count):
    """Images of coarse noise with random labels, after those of the smallest data set."""
    path, rng = make_broden(folder), np.random.default_rng(1)
    rows = (path / "index.csv").read_text().splitlines()[:1]
    for number in range(count):
        name = f"more{number}"
        image = cv2.resize(rng.integers(0, 255, (6, 6, 3)).astype(np.uint8), (32, 32))
        cv2.imwrite(str(path / "images" / f"{name}.png"), image)
        write_map(path / "images" / f"{name}_color.png", rng.integers(0, 3, (16, 16)))
        write_map(path / "images" / f"{name}_object.png", 300 * rng.integers(0, 2, (16, 16)))
        maps = f"{name}_color.png," + (f"{name}_object.png" if number % 3 else "")
        rows.append(f"{name}.png,train,32,32,16,16,{maps},{4 if number % 2 else ''}")
    (path / "index.csv").write_text("\n".join(rows) + "\n")
    return path


def network(scale=1.0, name="small", layers=("layer",), mean=0.0):
    """Maps of four cells' means; counts its calls."""
    calls = []

    def apply(variables, images):
        n, h, w, _ = images.shape
        maps = images.reshape(n, h // 4, 4, w // 4, 4, 3).mean(axis=(2, 4)) * variables
        return dict.fromkeys(layers, maps)

    made = dissection.from_jax(
        apply, np.float32(scale), layers=layers, preprocessing=dissection.Preprocessing(mean, 255), name=name
    )

    def counted(images):
        calls.append(len(images))
        return made.activations(images)

    # On one device: on each one it would be compiled anew, and test_streaming.py has several.
    return dataclasses.replace(made, activations=counted, follows_images=False), calls


def run(network, folder, cache, layers=("layer",), protocol=None, **settings):
    return dissection.dissect(
        network, load_broden(folder), layers=layers, protocol=protocol, batch_size=8, cache=cache, **settings
    )
