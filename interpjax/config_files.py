"""Finding and loading configuration files, by name or by path."""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict


def config_directory() -> Path:
    """Where the named configurations are: ``configs/`` of a checkout, or their copy in an installed wheel."""
    return Path(__file__).parent / "configs"


def config_path(name: str) -> str:
    """The file of a configuration, with the argument behind a colon if there is one; see :func:`get_config`."""
    stem, colon, argument = name.partition(":")
    path = Path(stem) if stem.endswith(".py") else config_directory() / f"{stem}.py"
    if not path.is_file():
        known = sorted(file.stem for file in config_directory().glob("*_*.py") if file.stem != "__init__")
        raise ValueError(f"config {name!r}: no file {path}; give a path that ends in .py, or one of {', '.join(known)}")
    return f"{path}{colon}{argument}"


def get_config(name: str) -> ConfigDict:
    """Loads a configuration.

    Args:
      name: a name in ``configs/`` (``"places365_gbn"``) or the path of a file; ``"path.py:arg"`` passes ``arg``
        to the file's ``get_config``.

    Raises:
      ValueError: if there is no such configuration; the ones there are are named.
    """
    stem, _, argument = config_path(name).partition(":")
    spec = importlib.util.spec_from_file_location(f"interpjax_config_{Path(stem).stem}", stem)
    assert spec is not None, stem
    assert spec.loader is not None, stem
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(argument) if argument else module.get_config()
