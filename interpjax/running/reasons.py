"""Why a run has failed, as it is told wherever the run is made."""

import sys
import traceback

from interpjax.errors import UserError


def tell(error: Exception) -> str:
    """Prints why a run has failed, in one line and last, after the traceback of what is no mistake of the user.

    Args:
      error: that the run has raised.

    Returns:
      The line.
    """
    if not isinstance(error, UserError):
        traceback.print_exception(error)
    elif "\n" in str(error):  # of which the line below is the first
        print(error, file=sys.stderr)
    why = f"{type(error).__name__}: {error}".partition("\n")[0]
    print(why, file=sys.stderr)
    return why
