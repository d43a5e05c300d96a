"""The two-figures data as a source: both splits, and the pixel labels of the test images as concepts."""

import dataclasses
import functools
import threading
from pathlib import Path
from typing import Any

from interpjax.data.records import encoded_records, open_builder
from interpjax.data.sources import Source
from interpjax.data.splits import Deferred, TfdsSplit
from interpjax.data.two_figures import concepts, drawing
from interpjax.data.two_figures.builder import TwoFigures, prepare, remedy


@dataclasses.dataclass(frozen=True)
class TwoFiguresSettings:
    """What the images are like; fields as of ``config.data.two_figures``."""

    task: str
    image_size: int
    figure_size: int
    train_images: int
    test_images: int
    noise: float
    seed: int


def two_figures(settings: TwoFiguresSettings, directory: Path) -> Source:
    """The data, which are rendered when they are first used, if they are not there yet.

    Args:
      settings: what the images are like.
      directory: gets a folder for each choice of the settings.

    Raises:
      UserError: if two figures do not fit beside each other.
    """
    counts = {"train": settings.train_images, "test": settings.test_images}
    builder = TwoFigures(
        data_dir=directory,
        image_size=settings.image_size,
        figure_size=settings.figure_size,
        noise=settings.noise,
        seed=settings.seed,
        counts=counts,
    )
    lock = threading.Lock()  # both splits are rendered at once, by whichever is read first

    def rendered(split: str) -> Any:
        with lock:
            prepare(builder)
        folder = Path(builder.data_dir)
        return encoded_records(open_builder(folder, remedy(folder)), split, remedy(folder))

    records = {split: Deferred(functools.partial(rendered, split), count) for split, count in counts.items()}
    train, test = (
        TfdsSplit(records[split], settings.task, f"two_figures/{split}", listing=f"{settings} {split}")
        for split in counts
    )
    labelled = concepts.load(records["test"], image_size=settings.image_size, figure_size=settings.figure_size)
    return Source(train, test, drawing.class_names(settings.task), labelled)
