"""What the stage ``visualize`` keeps of a network beside its units' views: pictures, and what its units cause."""

from pathlib import Path
from typing import NamedTuple

from interpjax import json_files
from interpjax.atomic import write_atomic
from interpjax.visualization import thumbnails
from interpjax.visualization.causes import Cause
from interpjax.visualization.gallery import Shown
from interpjax.visualization.views import AGAIN


class Exhibits(NamedTuple):
    """Pictures of what a network looks for, and what is lost without its units and groups.

    Attributes:
      shown: the pictures.
      causes: what is lost.
      left_out: of each kind that was asked for and could not be made the reason.
    """

    shown: list[Shown]
    causes: list[Cause]
    left_out: dict[str, str]

    def save(self, folder: Path) -> None:
        """Writes ``exhibits.json``, and ``exhibits.npz`` with the bytes of each WebP file."""
        thumbnails.save(folder / "exhibits.npz", {place: own.picture for place, own in enumerate(self.shown)})
        shown = [{name: value for name, value in own._asdict().items() if name != "picture"} for own in self.shown]
        stored = {"shown": shown, "causes": self.causes, "left_out": self.left_out}
        write_atomic(folder / "exhibits.json", json_files.to_text(stored) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Exhibits":
        """Reads what :meth:`save` wrote.

        Raises:
          UserError: if it is damaged.
        """
        stored = json_files.read(folder / "exhibits.json", AGAIN, keys=("shown", "causes", "left_out"))
        files = thumbnails.load(folder / "exhibits.npz", range(len(stored["shown"])), AGAIN)
        shown = [Shown(**own, picture=files[place]) for place, own in enumerate(stored["shown"])]
        return cls(shown, [Cause(*own) for own in stored["causes"]], stored["left_out"])
