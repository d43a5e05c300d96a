"""What detectors and groups cause: how accuracy falls where each is set to zero, as the report tells it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from interpjax.visualization.ablation import Ablation, Batch, ablate
from interpjax.visualization.gallery import Subject

KIND = "causes"  # as config.visualization.pictures names them
WORST = 3  # classes that are told
LOSS = 0.005  # share of a class's images, at least, for it to be told
LAYERS = 2  # nearest to the output; each is compiled and run anew, and earlier ones take longest


class Cause(NamedTuple):
    """A unit or group of a layer, and what is lost without it.

    Attributes:
      layer: its layer.
      kind: ``"unit"`` or ``"group"``.
      number: from 0.
      images: how many were classified.
      before: share of right ones of the whole network.
      after: the same without it.
      worst: the classes that lose most: name, share before and after.
    """

    layer: str
    kind: str
    number: int
    images: int
    before: float
    after: float
    worst: list[tuple[str, float, float]]


def causes(subject: Subject, batches: Iterable[Batch]) -> list[Cause]:
    """What the detectors of each layer cause, and what its groups do.

    Args:
      subject: the network. Of its last ``LAYERS`` dissected layers, at most ``subject.most`` units and groups of each
        are set to zero, one after another.
      batches: of normalized test images with their labels.

    Raises:
      ValueError: if the network cannot be changed on the way, as :func:`ablate` tells.
    """
    seen, found = list(batches), []
    for layer in list(subject.results)[-LAYERS:]:
        units, groups = subject.detectors(layer), subject.groups(layer)
        ablation = ablate(subject.model, subject.variables, seen, layer, [*units, *groups])
        names = [("unit", unit) for unit in units] + [("group", group) for group in range(len(groups))]
        found += _rows(subject, layer, names, ablation)
    return found


def _rows(subject: Subject, layer: str, names: Sequence[tuple[str, int]], ablation: Ablation) -> list[Cause]:
    images = int(ablation.images.sum())
    hurt = ablation.most_hurt(WORST)
    rows = []
    for place, (kind, number) in enumerate(names):
        own = hurt[hurt["set"] == place]
        worst = [
            (subject.class_name(int(cls)), float(before), float(after))
            for cls, before, after in zip(own["class"], own["before"], own["after"], strict=True)
            if before - after >= LOSS
        ]
        right = ablation.correct_before, ablation.correct_after[place]
        before, after = (float(own.sum() / images) for own in right)
        rows.append(Cause(layer, kind, number, images, before, after, worst))
    return rows
