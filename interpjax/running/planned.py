"""A run that is to be made, and the check of many before the first begins."""

import contextlib
import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from interpjax.config import to_json
from interpjax.errors import UserError
from interpjax.experiment import prepared, something_left
from interpjax.workdir import check_workdir

LOGS = "logs"


@dataclasses.dataclass(frozen=True, eq=False)
class Planned:
    """A run that is to be made.

    Attributes:
      name: for messages.
      kind: the same for runs that differ by their seed alone, of which it is enough to check one.
      config: the experiment.
      root: the folder that holds many runs, absolute.
      place: of the run's own folder in it, as ``"seed=0"``.
    """

    name: str
    kind: str
    config: ConfigDict
    root: Path
    place: str

    @property
    def folder(self) -> Path:
        """Of the run itself."""
        return self.root / self.place

    def log(self, ending: str) -> Path:
        """A file beside the runs, of what is told of this one."""
        return self.root / LOGS / f"{self.place.replace('/', '--')}.{ending}"


def check_folders(planned: Sequence[Planned]) -> None:
    """Checks that the folders of some runs are free, or hold these very runs.

    Raises:
      UserError: naming the run and the field, if one holds a run of another configuration.
    """
    for each in planned:
        _check_folder(each)


def _check_folder(each: Planned) -> None:
    remedy = "Give what it has there, or remove this folder to make the run anew."
    with _named(each):
        check_workdir(to_json(each.config), each.folder, remedy=remedy)


def unfinished(planned: Sequence[Planned], stages: Sequence[str]) -> list[Planned]:
    """Those of some runs of which anything is left to do, as :func:`interpjax.run` sees it.

    Each is checked as far as it can be before it begins; but of unfinished ones of a kind the first alone, for what it
    reads may take long. Of the others it is checked that their folders are free, or hold these very runs.

    Args:
      planned: the runs.
      stages: of each, in their order.

    Raises:
      UserError: naming the run and the field, if a run cannot be as it is configured.
    """
    kinds: set[str] = set()
    left = []
    for each in planned:
        _check_folder(each)
        with _named(each), contextlib.redirect_stderr(io.StringIO()):  # bars of what is opened, again for each kind
            known = each.kind in kinds and something_left(each.config, each.folder, stages)
            if not known and prepared(each.config, each.folder, stages) is None:
                continue
        kinds.add(each.kind)
        left.append(each)
    return left


@contextlib.contextmanager
def _named(each: Planned) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"the run {each.name}: {error}") from error
