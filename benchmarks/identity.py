"""What it costs to know data and checkpoints again: the listing of image files, and checksums of arrays.

It prints the seconds to list empty image files of 100 classes in a temporary folder, those to take their fingerprint,
and the GiB of float32 numbers of which a checksum is taken in a second.

Run:   python benchmarks/identity.py    (--files=100000 --megabytes=256)
Cost:  about two minutes on 2 cores, most of it to make and to remove the files.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from interpjax.data.listing import listing_fingerprint
from interpjax.data.sources import image_folder
from interpjax.training.checksums import checksums

CLASSES = 100


def main() -> None:
    """Makes the files, and prints a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--megabytes", type=int, default=256)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.files):
            path = Path(folder) / f"class{number % CLASSES:03}" / f"{number:07}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.touch()
        start = time.perf_counter()
        split = image_folder({"train": folder}).train
        listed = time.perf_counter()
        listing_fingerprint(split)
        print(f"{given.files} files: listing {listed - start:.2f} s, ", end="")
        print(f"fingerprint {time.perf_counter() - listed:.2f} s more")
    array = np.random.default_rng(0).random(given.megabytes * 2**18, np.float32)
    start = time.perf_counter()
    checksums({"array": array})
    print(f"checksum: {array.nbytes / 2**30 / (time.perf_counter() - start):.2f} GiB a second")


if __name__ == "__main__":
    main()
