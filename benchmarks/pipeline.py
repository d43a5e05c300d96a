"""How fast training images are read, beside Pillow in as many processes, and how long training waits for them.

Both read JPEGs, take a random resized crop of 224 pixels, bilinear, and flip half of the images. Ours hands uint8 over,
which the training step normalizes; the row "normalized" does that on the host too, as the peer does. The peer is what
torchvision's transforms do to Pillow images, in a pool of processes that write whole batches into shared memory, as
PyTorch's loader does. The rounds of all are interleaved.

Run:   python benchmarks/pipeline.py                   (--images=DIR for a folder of class folders of your own)
Needs: Pillow, which comes with matplotlib.
Cost:  six minutes on 2 cores that other jobs share; 2 GB of memory.
"""

import argparse
import ctypes
import itertools
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

SIDE, RESIZED = 224, 256
MEAN, STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32).reshape(2, 3, 1, 1)
BATCH = 64


def make_images(folder: Path, count: int) -> None:
    """Smooth random images with a little noise, whose shorter side is 256 pixels, as JPEGs in two class folders."""
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 256, (12, 16, 3)).astype(np.float32)
        image = cv2.resize(coarse, (RESIZED * 4 // 3, RESIZED), interpolation=cv2.INTER_CUBIC)
        noisy = image + rng.normal(0, 8, image.shape)
        path = folder / f"class{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), noisy.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])


def ours(folder: Path, workers: int, *, normalized: bool) -> Callable[[int], Any]:
    """What reads so many batches with interpjax."""
    from interpjax.data.images import SkippedImages
    from interpjax.data.pipeline import PipelineSettings, train_iterator
    from interpjax.data.sources import image_folder
    from interpjax.preprocessing import Preprocessing

    split = image_folder({"train": str(folder)}).train
    assert split is not None
    settings = PipelineSettings(BATCH, SIDE, RESIZED, "random_resized_crop", 0, workers, False)
    batches = train_iterator(split, settings, SkippedImages(), shard=(0, 1))
    preprocessing = Preprocessing.imagenet()

    def read(count: int) -> None:
        for _ in range(count):
            batch = next(batches)
            if normalized:
                preprocessing(batch["image"])

    return read


class PillowPool:
    """Worker processes that read whole batches with Pillow."""

    def __init__(self, folder: Path, workers: int, batches: int):
        """Starts them, with room for the batches of a round."""
        self.paths = [str(path) for path in sorted(folder.rglob("*.jpg"))]
        self.seeds = itertools.count()
        context = multiprocessing.get_context("spawn")
        room = context.RawArray(ctypes.c_float, batches * BATCH * 3 * SIDE * SIDE)
        self.pool = context.Pool(workers, _share, (room,))

    def read(self, count: int) -> None:
        """Reads so many batches."""
        rng = np.random.default_rng(next(self.seeds))
        chosen = rng.choice(len(self.paths), (count, BATCH))
        tasks = [(slot, [self.paths[i] for i in row], next(self.seeds)) for slot, row in enumerate(chosen)]
        for _ in self.pool.imap(_pillow_batch, tasks):
            pass


_room: Any = None  # of a worker process: the memory that it shares


def _share(room: Any) -> None:
    global _room
    _room = np.frombuffer(room, np.float32).reshape(-1, BATCH, 3, SIDE, SIDE)


def _pillow_batch(task: tuple[int, list[str], int]) -> None:
    slot, paths, seed = task
    rng = np.random.default_rng(seed)
    for number, path in enumerate(paths):
        _room[slot, number] = pillow_image(path, rng)


def pillow_image(path: str, rng: np.random.Generator) -> np.ndarray:
    """Open, RandomResizedCrop, RandomHorizontalFlip, ToTensor and Normalize, in torchvision's order and layout."""
    from PIL import Image

    from interpjax.data.augment import random_crop_box

    image = Image.open(path).convert("RGB")
    top, left, height, width = random_crop_box(image.height, image.width, rng)
    image = image.crop((left, top, left + width, top + height)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    array = np.asarray(image).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    return (array - MEAN) / STD


def compare(folder: Path, workers: int, batches: int, rounds: int) -> pd.DataFrame:
    """Images a second of each, over interleaved rounds."""
    peer = PillowPool(folder, workers, batches)
    readers = {
        "interpjax": ours(folder, workers, normalized=False),
        "interpjax, normalized": ours(folder, workers, normalized=True),
        "Pillow": peer.read,
    }
    speeds: dict[str, list[float]] = {name: [] for name in readers}
    for read in readers.values():
        read(2)  # starts threads and processes, and fills the files' cache
    for _ in range(rounds):
        for name, read in readers.items():
            start = time.perf_counter()
            read(batches)
            speeds[name].append(batches * BATCH / (time.perf_counter() - start))
            time.sleep(1)  # our threads read ahead until their buffer is full
    peer.pool.terminate()
    table = {name: [f"{np.median(own):.0f}", f"{min(own):.0f}–{max(own):.0f}"] for name, own in speeds.items()}
    ratios = {name: np.median(np.array(own) / np.array(speeds["Pillow"])) for name, own in speeds.items()}
    frame = pd.DataFrame.from_dict(table, orient="index", columns=["images/s", "range"])
    return frame.assign(**{"over Pillow": [f"{ratios[name]:.2f}" for name in frame.index]})


def data_wait(folder: Path, workdir: Path, workers: int, steps: int) -> dict[str, float]:
    """Of a short training of AlexNet: images a second and the share of time that it waits for them, after the start."""
    import interpjax
    from interpjax import config as config_lib
    from interpjax.training.metrics import read_metrics

    fields: dict[str, Any] = {"data.train": str(folder), "data.test": str(folder), "data.num_threads": workers}
    fields |= {"data.image_size": SIDE, "data.resize_size": RESIZED, "training.batch_size": BATCH, "model.width": 0.25}
    fields |= {"training.num_steps": steps, "training.log_every_steps": 1, "training.checkpoint_every_steps": steps}
    config = config_lib.override(interpjax.get_config("image_folder_wd"), fields | {"training.eval_every_steps": steps})
    interpjax.run(config, workdir, ("train",))
    rows = [row for row in read_metrics(workdir / "metrics.jsonl") if "data_wait" in row][2:]  # without compiling
    return {name: float(np.median([row[name] for row in rows])) for name in ("images_per_second", "data_wait")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder of class folders of JPEGs; by default they are made")
    parser.add_argument("--count", type=int, default=1024, help="of images that are made")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="threads of ours, processes of the peer")
    parser.add_argument("--batches", type=int, default=8, help=f"of {BATCH} images, in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=12, help="of the training; 0 for none")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.images or Path(temporary) / "images"
        if arguments.images is None:
            make_images(folder, arguments.count)
        print(f"{arguments.workers} workers, batches of {BATCH}, {SIDE}² of JPEGs")
        print(compare(folder, arguments.workers, arguments.batches, arguments.rounds).to_string())
        if arguments.steps:
            found = data_wait(folder, Path(temporary) / "run", arguments.workers, arguments.steps)
            print(f"AlexNet, width 0.25: {found['images_per_second']:.0f} images/s, data_wait {found['data_wait']:.3f}")


if __name__ == "__main__":
    main()
