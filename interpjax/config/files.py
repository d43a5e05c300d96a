"""Finds and loads configuration files, by name or by path."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from interpjax.errors import UserError, refusals


def config_directory() -> Path:
    """The directory of the named configurations.

    ``interpjax/configs`` is a link to ``configs/`` in a checkout; in an installed wheel it is a copy.
    """
    return Path(__file__).parents[1] / "configs"


def config_names() -> list[str]:
    """The names of all configurations in ``configs/`` but those of tables, of which each has many."""
    names = (file.stem for file in config_directory().glob("*.py"))
    return sorted(name for name in names if name not in ("__init__", "common") and not name.startswith("table_"))


def config_path(name: str) -> str:
    """The path of a configuration's file, followed by a colon and the argument if there is one.

    Args:
      name: as in :func:`get_config`.

    Raises:
      UserError: if there is no such file.
    """
    stem, colon, argument = name.partition(":")
    path = Path(stem) if stem.endswith(".py") else config_directory() / f"{stem}.py"
    if not path.is_file():
        known = ", ".join(config_names())
        raise UserError(f"config {name!r}: no file {path}; give a path that ends in .py, or one of {known}")
    return f"{path}{colon}{argument}"


def get_config(name: str) -> ConfigDict:
    """Loads a configuration.

    Args:
      name: a name in ``configs/`` (``"places365_gbn"``) or the path of a file; ``"path.py:arg"`` passes ``arg``
        to the file's ``get_config``, and so does ``"places365:model=vgg16,regularizer=wd"``.

    Raises:
      UserError: naming all configurations, if there is none of this name.
    """
    stem, _, argument = config_path(name).partition(":")
    spec = importlib.util.spec_from_file_location(f"interpjax_config_{Path(stem).stem}", stem)
    assert spec is not None, stem
    assert spec.loader is not None, stem
    module = importlib.util.module_from_spec(spec)
    with refusals(f"config {name!r}"):
        spec.loader.exec_module(module)
    return module.get_config(argument) if argument else module.get_config()


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
