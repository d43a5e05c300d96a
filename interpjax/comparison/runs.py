"""The runs that are compared, as their workdirs hold them."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from interpjax import json_files
from interpjax.changes import current_config
from interpjax.config import default_config, to_json
from interpjax.config.values import flatten
from interpjax.dissection import Dissection
from interpjax.errors import UserError

CLASSES, TESTED = "class_names", "test_images by name, order, label and size"
LABELLED = "labelled images"


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A finished run.

    Attributes:
      name: short, and another for each run of a comparison: the end of the workdir's path.
      workdir: its folder.
      config_text: its configuration as JSON.
      summary: what ``summary.json`` holds.
      facts: what ``data.json`` holds of the data.
      results: the dissection of each layer.
    """

    name: str
    workdir: Path
    config_text: str
    summary: Mapping[str, Any]
    facts: Mapping[str, Any]
    results: Mapping[str, Dissection]

    @functools.cached_property
    def fields(self) -> dict[str, Any]:
        """The configuration's fields by their dotted names; those that an earlier version did not have, by default."""
        return flatten(json.loads(to_json(default_config()))) | flatten(json.loads(self.config_text))

    @property
    def seed(self) -> int:
        """``config.seed``."""
        return int(self.fields["seed"])

    @functools.cached_property
    def scores(self) -> dict[str, float]:
        """``accuracy`` (0 to 1, where it was measured), ``interpretability_score``, and each layer's unique detectors.

        Those of layers are named as the layer.
        """
        accuracy = {"accuracy": float(self.summary["accuracy"])} if "accuracy" in self.summary else {}
        layers = {layer: float(result.unique_detectors()) for layer, result in self.results.items()}
        return accuracy | {"interpretability_score": float(self.summary["interpretability_score"])} | layers

    @property
    def dissection(self) -> Dissection:
        """That of the first layer, whose protocol and labels are those of all."""
        return next(iter(self.results.values()))


def read_runs(workdirs: Sequence[str | Path]) -> list[Run]:
    """Reads the runs of some workdirs.

    Args:
      workdirs: two at least, each of a run that has been dissected.

    Returns:
      The runs in that order. Of more than two, the dissections are without counts by image, which may be large and are
      used where two runs alone are compared.

    Raises:
      ValueError: if ``workdirs`` is one path and no sequence of them.
      UserError: naming the workdir, if one is no folder, there are less than two, one is given twice, or one has no
        run, no summary or no dissection, or a file of it is damaged.
    """
    if isinstance(workdirs, str | Path):
        raise ValueError(f"workdirs = {str(workdirs)!r}: expected a sequence of folders, as ['runs/a', 'runs/b']")
    folders = [Path(each).expanduser() for each in workdirs]
    if missing := [folder for folder in folders if not folder.is_dir()]:
        raise UserError(f"workdir {missing[0]}: no such folder; expected the folders of two runs at least")
    if len(folders) < 2:
        raise UserError(f"workdirs: {len(folders)} given; expected two at least, to be compared")
    for place, folder in enumerate(folders):
        if folder.resolve() in [other.resolve() for other in folders[:place]]:
            raise UserError(f"workdir {folder}: given twice; expected each run once")
    with_images = len(folders) == 2
    return [_read(folder, name, with_images) for folder, name in zip(folders, _names(folders), strict=True)]


def differences_in_measure(one: Run, other: Run, images: bool = True) -> list[str]:
    """Why the detectors of two runs cannot be held against each other, a clause each; empty if they can.

    Args:
      one: a run.
      other: another.
      images: whether the labelled images have to be the same.
    """
    ours, theirs = one.dissection, other.dissection
    fields = [field.name for field in dataclasses.fields(ours.protocol) if field.name != "name"]
    values = {name: (getattr(ours.protocol, name), getattr(theirs.protocol, name)) for name in fields}
    found = [f"protocol.{name} is {a!r} and {b!r}" for name, (a, b) in values.items() if a != b]
    if not ours.concepts.equals(theirs.concepts):
        return [*found, f"the concepts are others ({len(ours.concepts)} and {len(theirs.concepts)})"]
    listed = [run.facts.get(LABELLED) for run in (one, other)]
    moved = None not in listed and listed[0] != listed[1]
    if images and (moved or ours.pixels != theirs.pixels or not np.array_equal(ours.label_area, theirs.label_area)):
        found.append("the labelled images are others")
    return found


def differences_in_layers(one: Run, other: Run) -> list[str]:
    """Why no sum over layers of two runs can be held against the other's, in a clause; empty if it can."""
    if set(one.results) == set(other.results):
        return []
    return [f"the score is over other layers ({', '.join(one.results)} and {', '.join(other.results)})"]


def differences_in_test(one: Run, other: Run, images: bool = True) -> list[str]:
    """Why the accuracies of two runs cannot be held against each other, a clause each; empty if they can.

    Args:
      one: a run.
      other: another.
      images: whether the test images have to be the same.
    """
    pairs = {"the classes are others": CLASSES} | ({"the test images are others": TESTED} if images else {})
    return [told for told, fact in pairs.items() if one.facts.get(fact) != other.facts.get(fact)]


def _read(workdir: Path, name: str, with_images: bool) -> Run:
    if not (workdir / "config.json").is_file():
        raise UserError(f"workdir {workdir}: holds no run (there is no config.json); expected the folder of a run")
    again = f"run the experiment to its end again, with --workdir={workdir}"
    summary = json_files.read(workdir / "summary.json", again)
    if not summary.get("layers"):
        raise UserError(f"workdir {workdir}: its network has not been dissected; expected a run with the stage dissect")
    facts = json_files.read(workdir / "data.json", again) if (workdir / "data.json").is_file() else {}
    return Run(
        name=name,
        workdir=workdir,
        config_text=current_config(workdir),
        summary=summary,
        facts=facts,
        results={
            layer: _load(workdir / "dissection" / layer / "iou.npz", again, with_images) for layer in summary["layers"]
        },
    )


def _load(path: Path, remedy: str, with_images: bool) -> Dissection:
    try:
        result = Dissection.load(path)
        return result if with_images else dataclasses.replace(result, images=None)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error


def _names(folders: Sequence[Path]) -> list[str]:
    """The ends of the paths, as long as they have to be to tell the runs apart."""
    parts = [folder.resolve().parts for folder in folders]
    length = 1
    while len({own[-length:] for own in parts}) < len(parts):
        length += 1
    return [str(Path(*own[-length:])) for own in parts]
