"""The bar on stderr that tells how far a stage is."""

import sys

from tqdm import tqdm


def progress_bar(stage: str, images: int, done: int = 0, *, shown: bool = True) -> tqdm:
    """Images done, images a second and time left; on a terminal often, in a log file once in half a minute."""
    return tqdm(
        total=images,
        initial=done,
        desc=stage,
        unit="image",
        unit_scale=True,
        dynamic_ncols=True,
        mininterval=0.5 if sys.stderr.isatty() else 30,
        disable=not shown,
    )
