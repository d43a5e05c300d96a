"""The values of an experiment by the dotted names of their fields: read, set, compared, and as JSON text."""

import json
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from interpjax.config.schema import default_config
from interpjax.errors import UserError

KINDS = {int: "a whole number", float: "a number", bool: "True or False", tuple: "a tuple", str: "a text"}


def get_field(config: ConfigDict, name: str) -> Any:
    """The value of a field, as ``"regularizer.block_norm.p"``.

    Raises:
      UserError: naming the field and the fields beside it, if there is no field of this name.
    """
    value = config
    walked = "config"
    for part in name.split("."):
        if not isinstance(value, ConfigDict) or part not in value:
            allowed = (
                f"choose one of {', '.join(sorted(value))}"
                if isinstance(value, ConfigDict)
                else "expected nothing behind it, for it is a single value"
            )
            raise UserError(f"config.{name}: no such field; {walked} has no {part!r}: {allowed}")
        value = value[part]
        walked = f"{walked}.{part}"
    return value


def override(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
    """A copy of ``config`` with dotted fields set, as ``{"regularizer.block_norm.p": 4.0}``.

    Raises:
      UserError: if a field does not exist, or the value is of another type than the field.
    """
    changed = config.copy_and_resolve_references()
    for name, value in values.items():
        now = get_field(changed, name)
        try:
            changed.update_from_flattened_dict({name: value})
        except TypeError as error:
            raise UserError(f"config.{name} = {value!r}: {expected_kind(now, name)}") from error
    return changed.lock()


def expected_kind(now: object, name: str) -> str:
    """Of which kind a value of the field of this name has to be, in words, by the one that it has now."""
    if isinstance(now, ConfigDict):
        return f"expected one of its fields to be set, as config.{name}.{min(now)}"
    return f"expected {KINDS.get(type(now), 'a value')}, as {now!r}"


def to_json(config: ConfigDict) -> str:
    """The configuration as JSON text, sorted, with tuples as lists."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True)


def from_json(text: str) -> ConfigDict:
    """The inverse of :func:`to_json`, on the schema of this version.

    Raises:
      UserError: if the text has a field that this version does not know.
    """
    flat = flatten(json.loads(text))
    return override(default_config(), {name: _tuples(value) for name, value in flat.items()})


def differing_fields(ours: ConfigDict | str, theirs: ConfigDict | str) -> dict[str, tuple[Any, Any]]:
    """``{field: (ours, theirs)}`` for every field in which two configurations differ, as they are or as JSON text."""
    default = flatten(json.loads(to_json(default_config())))  # for fields that an older version did not have
    left, right = (
        default | flatten(json.loads(each if isinstance(each, str) else to_json(each))) for each in (ours, theirs)
    )
    return {k: (left.get(k), right.get(k)) for k in sorted({*left, *right}) if left.get(k) != right.get(k)}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values in nested mappings by their dotted names, each of which begins with ``prefix``."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
