"""The settings of a dissection, written once: their names, defaults, explanations and checks."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any, TypeVar

from interpjax.dissection.arguments import check_fieldmaps, check_groups, check_layers, check_whole, shown
from interpjax.dissection.upsampling import FieldMap

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a dissection, made alike: names in a tuple, numbers as ints.

    Attributes:
      layers: names of those to dissect.
      fieldmaps: by layer, for protocols that upsample through the centres of receptive fields: their offset, size
        and stride, each (y, x) in pixels of the network's input. By default those that NetDissect's wrapper for
        PyTorch makes up from the size of the map.
      batch_size: images in a batch, of which two are on each device at a time; the last one is filled up to it.
      image_size: squash images to this side first; by default they go in as they are.
      top_images: how many images to remember for each unit.
      shard_images: save after so many images, where there is a cache.
      num_threads: how many threads read images and labels.
      progress: whether a bar on stderr shows how many images are done.
      groups: by layer, groups of its units to dissect as well: a :class:`~interpjax.regularizers.Grouping`, an integer
        array with each unit's group (−1 for none), or a list of the units of each group.
      keep_images: whether to keep counts by image, for intervals and comparisons.
      correlation: whether to correlate the upsampled maps with the concepts as well, for ``metric("pearson")`` and
        ``metric("cosine")``.

    Raises:
      ValueError: naming the setting, if it is not as expected.
    """

    layers: Sequence[str]
    fieldmaps: Mapping[str, FieldMap] | None = None
    batch_size: int = 64
    image_size: int | None = None
    top_images: int = 5
    shard_images: int = 4096
    num_threads: int = 8
    progress: bool = True
    groups: Mapping[str, Any] | None = None
    keep_images: bool = False
    correlation: bool = False

    def __post_init__(self) -> None:
        layers = check_layers(self.layers)
        checked: dict[str, Any] = {"layers": layers, "fieldmaps": check_fieldmaps(self.fieldmaps, layers)}
        checked["groups"] = check_groups(self.groups, layers)
        for name, least in {"batch_size": 1, "top_images": 0, "shard_images": 1, "num_threads": 1}.items():
            checked[name] = check_whole(name, getattr(self, name), least)
        if self.image_size is not None:
            checked["image_size"] = check_whole("image_size", self.image_size, 1)
        for name in ("progress", "keep_images", "correlation"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} = {shown(getattr(self, name))}: expected True or False")
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def takes_settings(*names: str) -> Callable[[Function], Function]:
    """Makes a function with ``**settings`` look as if those of :class:`Settings` were written in it.

    ``help`` and ``inspect.signature`` show their names, defaults and explanations; an unknown argument is an error
    that lists the known ones.

    Args:
      *names: the settings that the function takes; without any it takes all.
    """
    fields = [field for field in dataclasses.fields(Settings) if field.name in names or not names]

    def decorate(function: Function) -> Function:
        signature = _with_fields(inspect.signature(function), fields)

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            for name in kwargs:
                if name not in signature.parameters:
                    known = ", ".join(signature.parameters)
                    raise TypeError(f"{function.__name__}: {name!r} is none of its arguments; expected any of {known}")
            signature.bind(*args, **kwargs)  # raises TypeError where one is missing
            return function(*args, **kwargs)

        checked.__signature__ = signature  # type: ignore[attr-defined]  # where inspect looks first
        checked.__doc__ = _explained(function.__doc__, fields)
        return checked  # type: ignore[return-value]

    return decorate


def _with_fields(signature: inspect.Signature, fields: Sequence[dataclasses.Field]) -> inspect.Signature:
    """The signature with fields in place of ``**settings``; what has no default comes first."""
    given = [own for own in signature.parameters.values() if own.kind is not Parameter.VAR_KEYWORD]
    positional = [own for own in given if own.kind is not Parameter.KEYWORD_ONLY]
    named = [own for own in given if own.kind is Parameter.KEYWORD_ONLY]
    added = [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is dataclasses.MISSING else field.default,
            annotation=field.type,
        )
        for field in fields
    ]
    required = [own for own in added + named if own.default is Parameter.empty]
    optional = [own for own in named + added if own.default is not Parameter.empty]
    return signature.replace(parameters=[*positional, *required, *optional])


def _explained(text: str | None, fields: Sequence[dataclasses.Field]) -> str | None:
    """A docstring with the explanations of fields in place of the line on ``**settings``."""
    if text is None or Settings.__doc__ is None:  # as Python leaves them with -OO
        return text
    known, chosen = ({field.name for field in group} for group in (dataclasses.fields(Settings), fields))
    kept, current = [], ""
    for line in Settings.__doc__.partition("Attributes:\n")[2].partition("\n\n")[0].splitlines():
        name = line.partition(":")[0].strip()
        current = name if name in known else current
        kept += [f"{line}\n"] if current in chosen else []
    return re.sub(r"^ +\*\*settings:.*\n", lambda _: "".join(kept), text, flags=re.MULTILINE)
