"""What each field of a configuration may hold: its type, whether its numbers are finite, and how large they may be."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from ml_collections import ConfigDict

from interpjax.config.schema import TERMS, default_config
from interpjax.config.values import flatten, get_field
from interpjax.errors import Problems, UserError

LARGEST_WHOLE = 2**31 - 1  # numbers of steps and images, and seeds, are int32 on the devices
SMALLEST, LARGEST = 1.2e-38, 3.4e38  # of float32, in which the devices compute; what is smaller counts as 0 there
MAY_BE_INFINITE = ("regularizer.block_norm.p", "regularizer.block_norm.q")
# Beyond these, what is asked for can only be a slip, and would end in an error of some library or of the system.
AT_MOST = {
    "data.image_size": 32_767,  # the largest side that OpenCV takes everywhere
    "data.resize_size": 32_767,
    "data.two_figures.image_size": 4_096,
    "data.num_threads": 1_024,
    "dissection.chance.draws": 1_000_000,
    "dissection.top_images": 10_000,
    "visualization.most": 1_000,
    "visualization.test_images": 100_000,
    "model.width": 100.0,
    "training.num_epochs": 1e9,
}
TEXTS = (
    "model.frozen",
    "dissection.layers",
    "dissection.chance.kinds",
    "visualization.pictures",
    *(f"regularizer.{term}.layers" for term in TERMS),
)
NUMBERS = ("data.mean", "data.std")
PAIRS = ("dissection.protocol_fields",)


def check_kinds(config: ConfigDict) -> None:
    """Checks that every field holds a value of its type, and that numbers are finite and not absurdly large.

    Args:
      config: the experiment.

    Raises:
      UserError: naming the wrong fields, their values, and what is expected.
    """
    problems = Problems()
    for name, default in flatten(default_config().to_dict()).items():
        with problems.collected():
            value = get_field(config, name)
            wrong = _wrong(name, value, default)
            if wrong:
                raise UserError(f"config.{name} = {_shortened(value)}: {wrong}")
    problems.raise_all()


def _wrong(name: str, value: Any, default: Any) -> str:
    """What is expected in place of a value; empty if nothing is wrong with it."""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "expected True or False"
    if isinstance(default, int):
        return _wrong_whole(name, value)
    if isinstance(default, float):
        return _wrong_number(name, value)
    if isinstance(default, str):
        good = isinstance(value, str) and "\0" not in value
        return "" if good else "expected a text without a NUL character"
    if not isinstance(value, tuple | list):
        return "expected a tuple"
    return _wrong_items(name, value)


def _wrong_whole(name: str, value: Any) -> str:
    most = AT_MOST.get(name, LARGEST_WHOLE)
    if not _is_whole(value):
        return "expected a whole number"
    return "" if abs(value) <= most else f"expected at most {most}"


def _wrong_number(name: str, value: Any) -> str:
    if not _is_number(value):
        return "expected a number"
    if name in MAY_BE_INFINITE and not math.isfinite(value):
        return ""
    if not math.isfinite(value):
        return "expected a finite number"
    if abs(value) > AT_MOST.get(name, LARGEST):
        return f"expected at most {AT_MOST.get(name, LARGEST):g}"
    return "" if value == 0 or abs(value) >= SMALLEST else f"expected 0, or a number of at least {SMALLEST:g}"


def _wrong_items(name: str, value: Sequence[Any]) -> str:
    checks: dict[str, tuple[Callable[[Any], bool], str]] = {
        **dict.fromkeys(TEXTS, (lambda item: isinstance(item, str), "expected texts, as ('conv1', 'conv2')")),
        **dict.fromkeys(NUMBERS, (_is_finite, "expected finite numbers")),
        **dict.fromkeys(PAIRS, (_is_named, "expected pairs of a name and a value, as (('top_quantile', 0.01),)")),
    }
    allowed, expected = checks.get(name, (lambda item: True, ""))
    return "" if all(allowed(item) for item in value) else expected


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and abs(value) <= LARGEST  # not so of nan either, nor of a whole number beyond every float


def _is_named(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[0], str)


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
