"""What a user names by its import path, as ``"mynets:SmallNet"``, so that nothing in the package has to be edited."""

import importlib
import sys
from pathlib import Path
from typing import Any

from interpjax.errors import UserError


def look_in_working_folder() -> None:
    """Has networks, data and losses of one's own looked for in the current folder too, as ``python -m`` does."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def is_import_path(name: Any) -> bool:
    """Whether a name is an import path: it has a colon."""
    return isinstance(name, str) and ":" in name


def import_object(field: str, path: str) -> Any:
    """The object at an import path, ``"MODULE:NAME"``; in a notebook or a script, ``"__main__:NAME"``.

    Args:
      field: of a configuration that holds the path, for errors: ``"config.model.name"``.
      path: a module's name, which may have dots, a colon, and the name of something in it.

    Raises:
      UserError: if the path is none, there is no such module, or nothing of that name in it. What the module itself
        raises when it is imported passes as it is.
    """
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), name]):
        raise UserError(f"{field} = {path!r}: expected the import path MODULE:NAME, as in 'mymodule:my_name'")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and misses another one
        raise UserError(
            f"{field} = {path!r}: there is no module {error.name!r}; modules are found in the current folder (with "
            "`python -m`), beside the script that runs, in the folders of PYTHONPATH, and among what is installed"
        ) from error
    try:
        return getattr(module, name)
    except AttributeError as error:
        known = ", ".join(own for own in vars(module) if not own.startswith("_")) or "nothing"
        raise UserError(f"{field} = {path!r}: {module_name} has no {name!r}; it has {known}") from error
