"""``interpjax dissect``: a network with published weights, or that of a run once more in another way."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

import interpjax
from interpjax.commands.endings import Parser, told_in_one_line
from interpjax.config import override
from interpjax.errors import UserError

HELP = """Dissects a network: finds for each unit the concept that it detects, and writes DIR/report.html, one page that
opens offline. DIR also holds what a run's folder holds of its dissection: summary.json, figures, and of each layer
dissection/LAYER/tally.csv, in NetDissect's columns, and iou.npz. No image to train or test on is needed.

Given again, the command goes on where it stopped, and reads what is done."""
EXAMPLES = """Examples:
  interpjax dissect --weights=resnet18.pth --model=resnet18 --broden=DIR --layers=layer3,layer4 --out=dissected/resnet18
  interpjax dissect --weights=workdirs/mine --protocol=lite --out=dissected/mine_by_lite

Exit codes: 0 done; 1 something is to be mended, which one line tells; 130, 143 stopped, what was counted is kept.
Each option sets the field that stands behind it, which is how messages name it. Other fields, as those of images that
are prepared in another way: interpjax --config=imported:NAME --stages=dissect,visualize,report --config.FIELD=VALUE
In Python: interpjax.dissection."""
STAGES = ("dissect", "visualize", "report")
OF_FILES = ("model", "image_size", "mean_image")  # options that a run has its own values for


def run(arguments: Sequence[str]) -> None:
    """Dissects the network that the arguments name; a user's mistake ends the process with one line."""
    given = parser().read(arguments)
    for logger in (logging.getLogger(), logging.getLogger("absl")):
        logger.setLevel(logging.WARNING)  # jax tells of every backend that it did not find
    with told_in_one_line():
        if not _absolute(given.weights).exists():
            raise UserError(
                f"--weights={given.weights}: there is no such file or folder; expected a file of weights, or the "
                "folder of a run"
            )
        config = _of_run(given) if _absolute(given.weights).is_dir() else _of_file(given)
        stages = ("dissect", "chance", *STAGES[1:]) if given.chance else STAGES
        interpjax.run(config, given.out, stages)


def parser() -> Parser:
    """Of the command's arguments."""
    made = Parser(
        prog="interpjax dissect",
        description=HELP,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--weights", type=Path, required=True, metavar="FILE|DIR", help="weights, of PyTorch (.pth), .npz or "
        ".safetensors (model.weights); or the folder of a run, whose trained network it is then")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="the folder to write to, a new one or that of before")
    add("--broden", type=Path, metavar="DIR", help="images with pixel labels, in Broden's layout or as interpjax get "
        "broden makes them (dissection.broden); by default those of the run")  # fmt: skip
    add("--layers", metavar="A,B", help="the layers to dissect (dissection.layers); by default every convolution of a "
        "file's network, and the layers of a run")  # fmt: skip
    add("--protocol", metavar="NAME", help="paper, caffe, lite, cgl or all-pixels (dissection.protocol), with no field "
        "changed; by default paper, and that of the run")  # fmt: skip
    add("--batch_size", type=int, metavar="N", help="images at a time on each device, 64 (dissection.batch_size)")
    add("--chance", action="store_true", help="also what chance gives, which takes as long again or longer")
    files = made.add_argument_group("for a file of weights alone")
    files.add_argument("--model", metavar="NAME", help="the network (model.name), as resnet18; see docs/models.md")
    files.add_argument("--image_size", type=int, metavar="N", help="side of the images that the network sees "
        "(data.image_size); by default 224, or 227 for Caffe's networks")  # fmt: skip
    files.add_argument("--mean_image", metavar="FILE.npy", help="a mean image to subtract, of values in 0..255, in "
        "place of the three means of the published weights (data.mean_image)")  # fmt: skip
    return made


def _of_file(given: argparse.Namespace) -> ConfigDict:
    """The configuration ``imported`` of a network by name, with a file of weights.

    Raises:
      UserError: if the network or the labelled images are not named.
    """
    if given.model is None:
        raise UserError(
            f"--model: expected the name of the network of --weights={given.weights}, as resnet18; for the folder of a "
            "run it is not needed"
        )
    if given.broden is None:
        raise UserError("--broden: expected a folder in Broden's layout, for a file of weights brings no images")
    config = interpjax.get_config(f"imported:{given.model}")
    fields: dict[str, Any] = {"model.weights": str(given.weights)}
    if given.image_size is not None:
        fields["data.image_size"] = given.image_size
        fields["data.resize_size"] = max(given.image_size, config.data.resize_size)
    if given.mean_image is not None:
        fields["data.mean_image"] = given.mean_image
    return override(config, fields | _fields(given))


def _of_run(given: argparse.Namespace) -> ConfigDict:
    """The configuration of a run with other fields, and its network in the folder to write to.

    Raises:
      UserError: naming an option that is for a file of weights, for the run has its own.
    """
    from interpjax.commands.network_of_run import take_network  # with all that a run needs, which --help does not

    for name in OF_FILES:
        if (value := getattr(given, name)) is not None:
            raise UserError(
                f"--{name}={value}: expected only with a file of weights; --weights={given.weights} is the folder of a "
                "run, which has its own"
            )
    return take_network(_absolute(given.weights), _fields(given), _absolute(given.out))


def _fields(given: argparse.Namespace) -> dict[str, Any]:
    """The fields of the dissection that are given."""
    fields: dict[str, Any] = {}
    if given.broden is not None:
        fields["dissection.broden"] = str(given.broden)
    if given.layers is not None:
        fields["dissection.layers"] = tuple(layer for layer in given.layers.split(",") if layer)
    if given.protocol is not None:
        fields |= {"dissection.protocol": given.protocol, "dissection.protocol_fields": ()}
    if given.batch_size is not None:
        fields["dissection.batch_size"] = given.batch_size
    return fields


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()
