"""Things of a user's own, which a configuration names by their import paths: ``"mynets:SmallNet"``."""

import importlib
from typing import Any

from interpjax.errors import UserError


def is_import_path(name: Any) -> bool:
    """Whether a name is an import path: it has a colon."""
    return isinstance(name, str) and ":" in name


def import_object(field: str, path: Any) -> Any:
    """What an import path names.

    Args:
      field: that holds it, for errors, as ``"config.model.name"``.
      path: ``"package.module:name"``; ``"__main__:name"`` is of the running program or notebook.

    Raises:
      UserError: naming the field, if it is no such path, the module cannot be found, or it has no such name. An error
        that the module itself raises passes.
    """
    module_name, _, name = path.partition(":") if isinstance(path, str) else ("", "", "")
    if not module_name or not name:
        raise UserError(f"{field} = {path!r}: expected an import path, 'module:name'")
    try:
        found = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and does not find what it imports itself
        raise UserError(
            f"{field} = {path!r}: there is no module {error.name!r}; modules are found in the current folder, in "
            "PYTHONPATH, and where packages are installed"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise UserError(f"{field} = {path!r}: the module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    return found
