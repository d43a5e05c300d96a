"""A run that is to be made, and the check of many before the first begins."""

import contextlib
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from interpjax.config import to_json
from interpjax.errors import UserError
from interpjax.experiment import prepared
from interpjax.workdir import check_workdir, stage_is_done

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
        try:
            check_workdir(to_json(each.config), each.folder)
        except UserError as error:
            raise UserError(f"the run {each.name}: {error}") from error


def unfinished(planned: Sequence[Planned], stages: Sequence[str]) -> list[Planned]:
    """Those of some runs whose stages are not all done.

    Of each kind the first one is checked as far as it can be before it begins. Of all it is checked that their folders
    are free, or hold these very runs.

    Args:
      planned: the runs.
      stages: of each, in their order.

    Raises:
      UserError: naming the run and the field, if a run cannot be as it is configured.
    """
    found: dict[str, list[Planned]] = {}
    check_folders(planned)
    for each in planned:
        if _is_finished(each, stages):
            continue
        try:
            if each.kind not in found:
                with contextlib.redirect_stderr(io.StringIO()):  # bars of what is opened, again for each kind
                    prepared(each.config, each.folder, stages)
        except UserError as error:
            raise UserError(f"the run {each.name}: {error}") from error
        found.setdefault(each.kind, []).append(each)
    left = {each.folder for runs in found.values() for each in runs}
    return [each for each in planned if each.folder in left]


def _is_finished(each: Planned, stages: Sequence[str]) -> bool:
    done = all(stage_is_done(each.folder, stage) for stage in stages)
    return done and (each.folder / "summary.json").is_file()
