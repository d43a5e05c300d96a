"""Names, shapes, receptive fields and parameters of a network's layers, found without computing anything.

A network names its layers itself when it runs (:func:`interpjax.models.offer`), so nothing is written down twice.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from interpjax.errors import UserError
from interpjax.models.offers import NOTES, TAPS, Note, collection, maps_of, notes_of
from interpjax.models.receptive_fields import Field, receptive_fields

IMAGE = 224  # pixels a side of the images that networks are outlined with, if nothing else is said
FieldMap = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]  # (y, x) of offset, size and stride


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution, or a block of them.

    Attributes:
      name: the name of its parameters and of its taps.
      shape: (height, width, channels) of its output.
      taps: the stages at which its maps can be taken, see :func:`~interpjax.models.apply_with_taps`.
      kernel: the kernel's (height, width, inputs of a feature group, filters); empty for a block.
      norm: the batch norm behind it, if there is one.
      same_as: the convolution before it that has the same maps before and after the non-linearity, as the last one of
        a residual block and the one on its shortcut.
      summed: whether something is added between its batch norm and the non-linearity, as at a residual block's end.
      parameters: number of parameters, those of its batch norm included; for a block, those of all layers in it.
    """

    name: str
    shape: tuple[int, int, int]
    taps: tuple[str, ...]
    kernel: tuple[int, ...] = ()
    norm: str | None = None
    same_as: str | None = None
    summed: bool = False
    parameters: int = 0


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["variables", "logits"], meta_fields=["layers"]
)  # so that a traced function can return one
@dataclasses.dataclass(frozen=True)
class Outline:
    """The shapes of a network on images of some size, without any values.

    Attributes:
      variables: its parameters and batch statistics, as a tree of ``jax.ShapeDtypeStruct``.
      logits: its output for one image, as a ``jax.ShapeDtypeStruct``.
      layers: the layers that it offers, in order of execution; empty for a module that offers none.
    """

    variables: Mapping[str, Any]
    logits: Any
    layers: tuple[Layer, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all layers whose maps can be taken: the convolutions and the blocks of them."""
        return tuple(layer.name for layer in self.layers)

    @property
    def convolutions(self) -> tuple[str, ...]:
        """The names of the layers that have a convolution kernel."""
        return tuple(layer.name for layer in self.layers if layer.kernel)

    @property
    def own_maps(self) -> tuple[str, ...]:
        """The convolutions without those that share their maps, around the non-linearity, with one before them."""
        return tuple(layer.name for layer in self.layers if layer.kernel and not layer.same_as)

    @property
    def batch_norms(self) -> dict[str, str]:
        """The batch norm behind each convolution that has one."""
        return {layer.name: layer.norm for layer in self.layers if layer.kernel and layer.norm}

    @property
    def summed(self) -> frozenset[str]:
        """The convolutions with a sum between their batch norm and non-linearity, as at a residual block's end."""
        return frozenset(layer.name for layer in self.layers if layer.summed)


def outline(model: nn.Module, image_size: int | tuple[int, int] = IMAGE) -> Outline:
    """The shapes of a network on images of some size. The network is traced once, and the outline is kept.

    Args:
      model: any flax module that is called as ``model(images, train=False)``.
      image_size: pixels a side, or (height, width).

    Raises:
      UserError: if the network offers one layer twice.
      ValueError: if the images are too small for a network of this package. Any error of a user's own network passes.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    model = outside_of_devices(model)
    try:
        hash(model)
    except TypeError:  # a field of a user's own module may be anything
        return _outline(model, height, width)
    return _kept_outline(model, height, width)


def outside_of_devices(model: nn.Module) -> nn.Module:
    """The same network for use outside of a map over devices: with no axis to share batch statistics over."""
    if not any(field.name == "axis_name" for field in dataclasses.fields(model)):
        return model
    return model.clone(axis_name=None, parent=None)


def check_logits(model: nn.Module, num_classes: int, image_size: int | tuple[int, int] = IMAGE) -> None:
    """Raises UserError if a network does not give an array [images, classes] of floating-point numbers."""
    logits = outline(model, image_size).logits
    found = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(logits)]
    single = isinstance(logits, jax.ShapeDtypeStruct)
    if not (single and logits.shape == (1, num_classes) and jnp.issubdtype(logits.dtype, jnp.floating)):
        given = " and ".join(f"{dtype}{list(shape)}" for shape, dtype in found) or "nothing"
        raise UserError(
            f"{type(model).__name__} gives {given} for one image: expected logits float32[1, {num_classes}], an array "
            "[images, num_classes]"
        )


def _outline(model: nn.Module, height: int, width: int) -> Outline:
    def traced(key: jax.Array, images: jax.Array) -> Outline:
        variables = model.init(key, images, train=False)
        logits, sown = model.apply(variables, images, train=False, mutable=[NOTES])
        return Outline(variables, logits, tuple(_layers(notes_of(sown), variables.get("params", {}))))

    key = jax.eval_shape(lambda: jax.random.key(0))
    return jax.eval_shape(traced, key, jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32))


_kept_outline = functools.cache(_outline)


def _layers(notes: list[Note], params: Mapping[str, Any]) -> Iterator[Layer]:
    shapes = {path: leaf.shape for path, leaf in flatten_dict(params, sep="/").items()}
    of_maps: dict[int, str] = {}  # the first convolution that gives these maps, by their id
    for note in notes:
        taps = tuple(tap for tap in TAPS if tap in note.taps)
        maps = note.taps[taps[-1]]
        kernel = shapes.get(f"{note.layer}/kernel", ())
        kernel = kernel if len(kernel) > 2 else ()  # that of a dense layer
        _check_behind(note, kernel, shapes)
        first = of_maps.setdefault(id(maps), note.layer) if kernel else note.layer
        own = (f"{note.layer}/", *([] if kernel else [f"{note.layer}.", f"{note.layer}_"]))
        own += (f"{note.behind}/",) if note.behind else ()
        yield Layer(
            name=note.layer,
            shape=maps.shape[1:],
            taps=taps,
            kernel=kernel,
            norm=note.behind,
            same_as=None if first == note.layer else first,
            summed=note.summed,
            parameters=sum(math.prod(shape) for path, shape in shapes.items() if path.startswith(own)),
        )


def _check_behind(note: Note, kernel: Any, shapes: Mapping[str, Any]) -> None:
    """Raises UserError if a batch norm is said to be behind a layer, and one of the two is not there."""
    if note.behind is None:
        return
    if not kernel:
        known = ", ".join(path.removesuffix("/kernel") for path in shapes if path.endswith("/kernel"))
        raise UserError(
            f"layer {note.layer!r} is offered with behind={note.behind!r}, but it has no kernel of a convolution; "
            f"expected the path of its parameters, of which there are {known or 'none'}"
        )
    if f"{note.behind}/scale" not in shapes:
        known = ", ".join(path.removesuffix("/scale") for path in shapes if path.endswith("/scale"))
        raise UserError(
            f"layer {note.layer!r} is offered with behind={note.behind!r}, which has no scale among the parameters; "
            f"expected the path of a batch norm, of which there are {known or 'none'}"
        )


@dataclasses.dataclass(frozen=True)
class LayerInfo(Layer):
    """A layer with the receptive fields of its cells.

    Attributes:
      receptive_field: (offset, size, stride), each as (y, x) in pixels of the image. Cell i sees ``size`` pixels from
        ``offset + i·stride`` on; those outside of the image are padding. A dissection takes it in ``fieldmaps``. None
        where a cell sees the whole image.
    """

    receptive_field: FieldMap | None = None


def layers(model: nn.Module, image_size: int | tuple[int, int] = IMAGE) -> tuple[LayerInfo, ...]:
    """The layers of a network in order of execution, found without computing anything.

    ``pandas.DataFrame(models.layers(model))`` is a table of them.

    Args:
      model: a network of this package, or any flax module that offers layers.
      image_size: pixels a side, or (height, width).

    Raises:
      ValueError: if the images are too small for the network.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    model = outside_of_devices(model)
    found = outline(model, (height, width))
    chosen = {layer.name: "pre" if "pre" in layer.taps else layer.taps[-1] for layer in found.layers}

    def maps(variables: Any, images: jax.Array) -> dict[str, jax.Array]:
        collections = [collection(name, tap) for name, tap in chosen.items()]
        sown = model.apply(variables, images, train=False, mutable=collections)[1]
        return {name: maps_of(sown, [name], tap)[name] for name, tap in chosen.items()}

    images = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    fields = receptive_fields(maps, found.variables, images)
    return tuple(LayerInfo(**vars(layer), receptive_field=_fieldmap(fields[layer.name])) for layer in found.layers)


def _fieldmap(field: Field | None) -> FieldMap | None:
    if field is None:
        return None
    rows, columns = field
    return (rows.offset, columns.offset), (rows.size, columns.size), (rows.stride, columns.stride)
