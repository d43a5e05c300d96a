"""The dissection of a configuration: its labelled images, its layers, its protocol, and the memory that it takes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from interpjax import dissection, models, parallel
from interpjax.data import ConceptData, load_broden
from interpjax.dissection.upsampling import FieldMap, resampling
from interpjax.errors import UserError
from interpjax.prepare.memory import Memory, estimate

USES_LABELS = ("dissect", "chance", "visualize")  # the stages that look at labelled images


@dataclasses.dataclass(frozen=True)
class ChanceSettings:
    """How a run tells what it would find by chance; fields as those of :func:`interpjax.dissection.chance`."""

    kinds: tuple[str, ...]
    draws: int
    seed: int


@dataclasses.dataclass(frozen=True)
class Labelled:
    """The labelled images of a run, and how its network is dissected with them.

    Attributes:
      concepts: the labelled images.
      layers: the layers to dissect.
      protocol: the protocol to dissect by.
      fieldmaps: the receptive fields of the layers, if the protocol upsamples by them; otherwise empty.
      batch_size: number of images at a time on each device.
      image_size: side in pixels to which images are resized, without keeping their aspect ratio.
      top_images: number of images that are kept for each unit.
      intervals: whether counts by image are kept, and intervals made of them.
      num_threads: number of threads that read images.
      skip_bad_images: whether unreadable images are left out; otherwise they are errors.
      chance: how the stage ``chance`` draws.
      memory: the memory that the dissection will take; None if the run dissects nothing.
    """

    concepts: ConceptData
    layers: tuple[str, ...]
    protocol: dissection.Protocol
    fieldmaps: dict[str, FieldMap]
    batch_size: int
    image_size: int
    top_images: int
    intervals: bool
    num_threads: int
    skip_bad_images: bool
    chance: ChanceSettings
    memory: Memory | None

    @property
    def settings(self) -> dict[str, Any]:
        """How a network is dissected with them, as keywords of ``dissection.dissect`` and ``dissection.chance``."""
        return {
            "layers": self.layers,
            "protocol": self.protocol,
            "fieldmaps": self.fieldmaps,
            "batch_size": self.batch_size,
            "image_size": self.image_size,
            "num_threads": self.num_threads,
        }


@dataclasses.dataclass(frozen=True)
class PictureSettings:
    """Which pictures the report has beside the top images; fields as those of the configuration's ``visualization``."""

    kinds: tuple[str, ...]
    most: int
    test_images: int


def read_pictures(config: ConfigDict) -> PictureSettings:
    """The settings of a configuration."""
    settings = config.visualization
    return PictureSettings(tuple(settings.pictures), settings.most, settings.test_images)


def open_concepts(config: ConfigDict, stages: Sequence[str], brought: bool) -> ConceptData | None:
    """Opens the labelled images that a configuration names.

    Args:
      config: the experiment.
      stages: the stages that are to be run.
      brought: whether the data to train and test on bring their own labelled images.

    Returns:
      The labelled images; None if no stage uses them, or the data bring their own.

    Raises:
      UserError: naming the field, if there are no labelled images or they are not in Broden's layout.
    """
    if not set(USES_LABELS) & set(stages) or brought:
        return None
    path = config.dissection.broden
    if not path:
        raise UserError(
            "config.dissection.broden = '': expected a directory in Broden's layout, or the DIR of "
            "`interpjax get broden --to DIR`"
        )
    try:
        return load_broden(path)
    except ValueError as error:
        raise UserError(f"config.dissection.broden = {path!r}: {error}") from error


def chosen_half(config: ConfigDict, concepts: ConceptData | None) -> ConceptData | None:
    """Of the labelled images those that a configuration dissects with; None if there are none.

    Raises:
      UserError: naming the field, if no image is in that half.
    """
    if concepts is None or config.dissection.half == "all":
        return concepts
    try:
        return concepts.half(config.dissection.half)
    except ValueError as error:
        raise UserError(f"config.dissection.{error}") from error


def read_protocol(config: ConfigDict) -> dissection.Protocol:
    """The protocol by which the network is dissected, with the fields that the configuration changes.

    Raises:
      UserError: naming the field, if there is no such protocol, or it has no such field or value.
    """
    settings = config.dissection
    try:
        return dissection.get_protocol(settings.protocol, **dict(settings.protocol_fields))
    except TypeError as error:
        raise UserError(
            f"config.dissection.protocol_fields = {settings.protocol_fields}: expected pairs of a field's name and its "
            'value, (("top_quantile", 0.01),)'
        ) from error
    except ValueError as error:
        raise UserError(f"config.dissection.{error}") from error


def read_labelled(
    config: ConfigDict,
    model: nn.Module,
    concepts: ConceptData | None,
    protocol: dissection.Protocol,
    stages: Sequence[str],
) -> Labelled:
    """All that a dissection takes beside the weights of the network.

    Raises:
      UserError: naming the field, if there are no labelled images, the network does not have one of the layers, the
        protocol cannot upsample one of them, or the machine has too little memory.
    """
    if concepts is None:
        raise UserError(
            f"config.dissection.broden = '': config.data.source = {config.data.source!r} brings no labelled images; "
            "expected a directory in Broden's layout, or the DIR of `interpjax get broden --to DIR`"
        )
    settings, size = config.dissection, config.data.image_size
    if "chance" in stages and "labels" in settings.chance.kinds and parallel.shard()[1] > 1:
        raise UserError(
            f"config.dissection.chance.kinds = {settings.chance.kinds}: labels are shuffled within one process; run "
            "the stage chance by itself afterwards, in one process, or leave 'labels' out"
        )
    layers = read_layers(config, model, protocol.tap)
    shapes = {layer.name: layer.shape for layer in models.outline(model, size).layers if layer.name in layers}
    return Labelled(
        concepts=concepts,
        layers=layers,
        protocol=protocol,
        fieldmaps=_fieldmaps(config, model, layers, concepts, protocol),
        batch_size=settings.batch_size,
        image_size=size,
        top_images=settings.top_images,
        intervals=settings.intervals,
        num_threads=config.data.num_threads,
        skip_bad_images=config.data.on_bad_image == "skip",
        chance=ChanceSettings(tuple(settings.chance.kinds), settings.chance.draws, settings.chance.seed),
        memory=estimate(shapes, len(concepts.records), settings.batch_size)
        if {"dissect", "chance"} & set(stages)
        else None,
    )


def read_layers(config: ConfigDict, model: nn.Module, tap: str) -> tuple[str, ...]:
    """The configured layers; by default every convolution with maps of its own, or all layers if there is none.

    Raises:
      UserError: naming the field, if the network does not have one of the layers, or not at this tap.
    """
    outline, name = models.outline(model, config.data.image_size), config.model.name
    if not outline.names:
        raise UserError(
            f"config.model.name = {name!r}: it offers no layer to dissect; call "
            'interpjax.models.offer(self, "conv1", pre=x, post=y) in its __call__'
        )
    layers = tuple(config.dissection.layers)
    twice = [layer for layer in layers if layers.count(layer) > 1]
    if twice:
        raise UserError(f"config.dissection.layers = {layers!r}: {twice[0]!r} is twice in it; expected each layer once")
    for layer in layers:
        if layer not in outline.names:
            known = ", ".join(outline.names)
            raise UserError(f"config.dissection.layers: {name} has no {layer!r}; choose from {known}")
    layers = layers or outline.own_maps or outline.names
    for layer in outline.layers:
        if layer.name in layers and tap not in layer.taps:
            raise UserError(
                f"config.dissection.layers: {name} offers {layer.name!r} as {', '.join(layer.taps)}; expected {tap!r}, "
                f"which config.dissection.protocol = {config.dissection.protocol!r} dissects"
            )
    return layers


def _fieldmaps(
    config: ConfigDict, model: nn.Module, layers: tuple[str, ...], concepts: ConceptData, protocol: dissection.Protocol
) -> dict[str, FieldMap]:
    """The receptive fields of layers that do not see the whole image; none unless the protocol upsamples by them."""
    if protocol.upsampling != "fieldmap":
        return {}
    size, labels = config.data.image_size, concepts.records[0].label_shape
    known: Any = [layer for layer in models.layers(model, size) if layer.name in layers]
    for layer in known:
        try:
            resampling("fieldmap", layer.shape[:2], labels, (size, size), layer.receptive_field)
        except ValueError as error:
            raise UserError(
                f"config.dissection.protocol = {config.dissection.protocol!r}, layer {layer.name}: {error} or leave it "
                "out of config.dissection.layers"
            ) from error
    return {layer.name: layer.receptive_field for layer in known if layer.receptive_field}
