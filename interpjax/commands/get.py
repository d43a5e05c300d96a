"""``interpjax get``: public data, fetched or made of what one has."""

from collections.abc import Sequence
from pathlib import Path

from interpjax.commands.endings import Parser, told_in_one_line
from interpjax.stopping import on_signals

HELP = """Fetches a public data set and writes it in the form that interpjax reads. Where it was stopped, the same
command goes on. With --from, nothing is downloaded."""


def run(arguments: Sequence[str]) -> None:
    """Fetches a public data set, or makes it of what is on disk already."""
    parser = Parser(prog="interpjax get", description=HELP, allow_abbrev=False)
    names = parser.add_subparsers(dest="name", required=True, metavar="places365|broden|imagenet")
    places365 = names.add_parser("places365", help="256x256 images to train on, 27 GB; for --config.data.directory")
    broden = names.add_parser("broden", help="images with pixel labels, 1 GB; for --config.dissection.broden")
    imagenet = names.add_parser("imagenet", help="of the folders or archives one has; for --config.data.directory")
    imagenet.add_argument("--from", type=Path, dest="source", metavar="DIR", required=True, help="what one has")
    imagenet.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder to put it into")
    broden.add_argument("--size", type=int, default=224, choices=(224, 227, 384), help="side of the images, 224")
    broden.add_argument("--url", help="another address of the zip archive")
    for each in (places365, broden):
        each.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder to put it into")
        each.add_argument("--from", type=Path, dest="source", metavar="DIR", help="archives, or what they hold")
        each.add_argument("--keep", action="store_true", help="keep archives and what was unpacked in DIR/archives")
    given = parser.parse_args(arguments)
    with told_in_one_line(), on_signals():
        if given.name == "places365":
            from interpjax.data.get.places365 import get_places365  # with TFDS, which --help does not need

            get_places365(given.to, given.source, keep=given.keep)
            print(f"done; train on it with --config.data.directory={given.to}")
        elif given.name == "imagenet":
            from interpjax.data.get.imagenet import get_imagenet

            get_imagenet(given.to, given.source)
            print(f"done; train on it with --config.data.directory={given.to}")
        else:
            from interpjax.data.get.broden import broden_urls, get_broden

            urls = (given.url,) if given.url else broden_urls(given.size)
            get_broden(given.to, given.source, urls=urls, keep=given.keep)
            print(f"done; dissect with it by --config.dissection.broden={given.to}")
