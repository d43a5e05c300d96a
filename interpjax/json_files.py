"""JSON that is valid for every reader, and files of it that may have been damaged since they were written."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from interpjax.errors import UserError


def to_text(value: Any, *, indent: int | None = None) -> str:
    """As JSON. Numbers that are not finite become null, for JSON has none of them.

    Args:
      value: of dictionaries, lists, tuples, texts, numbers and None.
      indent: spaces by which each level is indented; None for one line.
    """
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def to_lines(values: Iterable[Any]) -> str:
    """The text of several values, a line each; otherwise as :func:`to_text`."""
    return "".join(to_text(value) + "\n" for value in values)


def read(path: Path, remedy: str, keys: Sequence[str] = ()) -> dict[str, Any]:
    """The object that a file holds.

    Args:
      path: of the file.
      remedy: what to do if it is damaged, as an order.
      keys: that the object has to have.

    Raises:
      UserError: if it is missing, cannot be read as JSON, or is no such object, naming it and the remedy.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; {remedy}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    except (ValueError, RecursionError) as error:  # of what is no JSON, or no UTF-8, or nested without end
        raise UserError(f"{path}: damaged ({error}); {remedy}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: damaged (it holds a {type(found).__name__}; expected an object); {remedy}")
    if missing := [key for key in keys if key not in found]:
        raise UserError(f"{path}: damaged (it has no {missing[0]!r}); {remedy}")
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
