"""What a network is dissected with, and how: labelled images, layers, protocol, and the memory that this takes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from interpjax import dissection, models
from interpjax.data import ConceptData, load_broden
from interpjax.dissection.upsampling import FieldMap, resampling
from interpjax.errors import UserError
from interpjax.prepare.memory import Memory, estimate


@dataclasses.dataclass(frozen=True)
class Labelled:
    """The labelled images of a run, and how its network is dissected with them.

    Attributes:
      concepts: the images.
      layers: to dissect.
      protocol: by which.
      fieldmaps: receptive fields of the layers, for a protocol that upsamples by them.
      batch_size: images at a time on each device.
      image_size: side that images are squashed to.
      top_images: that are remembered for each unit.
      num_threads: that read images.
      skip_bad_images: whether unreadable images are left out; otherwise they are errors.
      memory: what the dissection will take; None where it is done already.
    """

    concepts: ConceptData
    layers: tuple[str, ...]
    protocol: dissection.Protocol
    fieldmaps: dict[str, FieldMap]
    batch_size: int
    image_size: int
    top_images: int
    num_threads: int
    skip_bad_images: bool
    memory: Memory | None


def open_concepts(config: ConfigDict, stages: Sequence[str], brought: bool) -> ConceptData | None:
    """The labelled images that a configuration names; None if no stage needs them, or the data bring their own.

    Raises:
      UserError: naming the field, if there are none or they are not in Broden's layout.
    """
    if not {"dissect", "visualize"} & set(stages) or brought:
        return None
    path = config.dissection.broden
    if not path:
        raise UserError("config.dissection.broden = '': expected a directory in Broden's layout")
    try:
        return load_broden(path)
    except ValueError as error:
        raise UserError(f"config.dissection.broden = {path!r}: {error}") from error


def read_protocol(config: ConfigDict) -> dissection.Protocol:
    """By which protocol the network is dissected.

    Raises:
      UserError: naming the field.
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
    """All that a dissection needs beside the network's weights.

    Raises:
      UserError: naming the field, if there are no labelled images, the network has no such layer, the protocol cannot
        upsample one, or the machine has too little memory.
    """
    if concepts is None:
        raise UserError(
            f"config.dissection.broden = '': config.data.source = {config.data.source!r} brings no labelled images; "
            "expected a directory in Broden's layout"
        )
    settings, size = config.dissection, config.data.image_size
    layers = _layers(config, model, protocol.tap)
    shapes = {layer.name: layer.shape for layer in models.outline(model, size).layers if layer.name in layers}
    return Labelled(
        concepts=concepts,
        layers=layers,
        protocol=protocol,
        fieldmaps=_fieldmaps(config, model, layers, concepts, protocol),
        batch_size=settings.batch_size,
        image_size=size,
        top_images=settings.top_images,
        num_threads=config.data.num_threads,
        skip_bad_images=config.data.on_bad_image == "skip",
        memory=estimate(shapes, len(concepts.records), protocol.top_quantile, settings.batch_size)
        if "dissect" in stages
        else None,
    )


def _layers(config: ConfigDict, model: nn.Module, tap: str) -> tuple[str, ...]:
    """The configured layers, or every convolution with maps of its own; of a network without any, all it offers."""
    outline, name = models.outline(model, config.data.image_size), config.model.name
    if not outline.names:
        raise UserError(
            f"config.model.name = {name!r}: it offers no layer to dissect; call "
            'interpjax.models.offer(self, "conv1", pre=x, post=y) in its __call__'
        )
    layers = tuple(config.dissection.layers)
    for layer in layers:
        if layer not in outline.names:
            known = ", ".join(outline.names)
            raise UserError(f"config.dissection.layers: {name} has no {layer!r}; it has {known}")
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
    """The receptive fields of the layers, if the protocol upsamples by them; without those that see the whole image."""
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
