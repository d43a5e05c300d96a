"""Finds and loads configuration files, by name or by path."""

import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from interpjax.errors import UserError, refusals

TABLE = "table_"  # how the names of tables begin


def config_directory() -> Path:
    """The directory of the named configurations.

    ``interpjax/configs`` is a link to ``configs/`` in a checkout; in an installed wheel it is a copy.
    """
    return Path(__file__).parents[1] / "configs"


def config_names() -> list[str]:
    """The names of all configurations in ``configs/`` but those of tables, of which each has many."""
    return [name for name in _names() if not name.startswith(TABLE)]


def table_names() -> list[str]:
    """The names of all tables in ``configs/``."""
    return [name for name in _names() if name.startswith(TABLE)]


def _names() -> list[str]:
    stems = (file.stem for file in config_directory().glob("*.py"))
    return sorted(name for name in stems if name not in ("__init__", "common"))


def config_path(name: str, function: str = "get_config") -> str:
    """The path of the file of a configuration or table, followed by a colon and the argument if there is one.

    Args:
      name: as in :func:`get_config`.
      function: that the file should have, one of :data:`FUNCTIONS`.

    Raises:
      UserError: if there is no such file.
    """
    stem, colon, argument = name.partition(":")
    path = Path(stem) if stem.endswith(".py") else config_directory() / f"{stem}.py"
    if not path.is_file():
        word, _, known = FUNCTIONS[function]
        names = ", ".join(known())
        raise UserError(f"{word} {name!r}: no file {path}; give a path that ends in .py, or one of {names}")
    return f"{path}{colon}{argument}"


def get_config(name: str) -> ConfigDict:
    """Loads a configuration.

    Args:
      name: a name in ``configs/`` (``"places365_gbn"``) or the path of a file; ``"path.py:arg"`` passes ``arg``
        to the file's ``get_config``, and so does ``"places365:model=vgg16,regularizer=wd"``.

    Raises:
      UserError: naming all configurations, if there is none of this name.
    """
    return call_in_file(name, "get_config")


def call_in_file(name: str, function: str) -> Any:
    """What a function of a file in ``configs/``, or of one's own, returns.

    Args:
      name: of the file, as of :func:`get_config`; what follows a colon is given to the function.
      function: its name.

    Raises:
      UserError: naming all configurations, if there is no such file; or naming the file, if it has no such function, or
        one that does not take the argument.
    """
    word, expected, _ = FUNCTIONS[function]
    stem, _, argument = config_path(name, function).partition(":")
    spec = importlib.util.spec_from_file_location(f"interpjax_config_{Path(stem).stem}", stem)
    assert spec is not None, stem
    assert spec.loader is not None, stem
    module = importlib.util.module_from_spec(spec)
    with refusals(f"{word} {name!r}"):
        spec.loader.exec_module(module)
    if not hasattr(module, function):
        raise UserError(f"{word} {name!r}: {stem} has no function {function}; {expected}")
    given = [argument] if argument else []
    try:
        inspect.signature(getattr(module, function)).bind(*given)
    except TypeError as error:
        raise UserError(f"{word} {name!r}: {function} of {stem} cannot be called with {given}: {error}") from error
    return getattr(module, function)(*given)


# By the function that a file should have: what the file is called, what else it may be, and the names that there are.
FUNCTIONS: dict[str, tuple[str, str, Callable[[], list[str]]]] = {
    "get_config": (
        "config",
        "expected the file of an experiment; that of a table is run by `interpjax table`",
        config_names,
    ),
    "get_table": ("table", "expected the file of a table; that of an experiment is run by --config", table_names),
}


def parse_argument(argument: str, choices: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Reads the argument of a configuration, as ``"model=vgg16,regularizer=wd"``, into a value for each key.

    Args:
      argument: ``key=value`` pairs with commas between them, in any order; may be empty.
      choices: the values that each key may have. The first is taken if the key is not given.

    Raises:
      UserError: naming what is wrong and what is allowed, if a key or value is unknown, or a key is given twice.
    """
    given: dict[str, str] = {}
    for part in argument.split(",") if argument else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in choices or key in given:
            problem = "is given twice" if key in given else "is none of its key=value pairs"
            allowed = "; ".join(f"{name}: {', '.join(values)}" for name, values in choices.items())
            raise UserError(f"argument {argument!r} of the config: {part!r} {problem}; choose from {allowed}")
        if value not in choices[key]:
            raise UserError(
                f"argument {argument!r} of the config: {key} = {value!r}: choose one of {', '.join(choices[key])}"
            )
        given[key] = value
    return {key: given.get(key, values[0]) for key, values in choices.items()}
