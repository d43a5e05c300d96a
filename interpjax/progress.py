"""The bar on stderr that tells how far a stage is."""

import sys

from tqdm import tqdm


def progress_bar(stage: str, total: int | None, done: int = 0, *, shown: bool = True, unit: str = "image") -> tqdm:
    """Images (or bytes, ``"B"``) done, a second, and time left; on a terminal often, in a log once in half a minute."""
    return tqdm(
        total=total,
        initial=done,
        desc=stage,
        unit=unit,
        unit_scale=True,
        dynamic_ncols=True,
        mininterval=0.5 if sys.stderr.isatty() else 30,
        disable=not shown,
    )
