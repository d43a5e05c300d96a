"""JSON that is valid for every reader, and files of it that may have been damaged since they were written."""

import json
import math
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


def read(path: Path, remedy: str) -> Any:
    """What a file holds.

    Args:
      path: of the file.
      remedy: what to do if it is damaged, as an order.

    Raises:
      UserError: if it is missing or cannot be read as JSON, naming it and the remedy.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; {remedy}") from error
    except ValueError as error:  # of what is no JSON, or no UTF-8
        raise UserError(f"{path}: damaged ({error}); {remedy}") from error


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
