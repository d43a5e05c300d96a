"""The images that the best units of a comparison look at, each image once for all runs that have it."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from interpjax.comparison.concepts import Detector
from interpjax.comparison.runs import LABELLED, Run
from interpjax.errors import UserError
from interpjax.finished import load_views
from interpjax.report.pictures import encoded
from interpjax.visualization.views import Views
from interpjax.workdir import stage_is_done

MOST_TILES = 5  # images of a unit
BESIDE = 6_000_000  # bytes of a page for all but pictures
OF_ANOTHER_VERSION = "another version made them; to make them anew, run the experiment again with"


class Tile(NamedTuple):
    """An image as a unit sees it.

    Attributes:
      picture: the key of the image among all of the page.
      name: of the image.
      mask: the outline of the unit's mask, an SVG path in a square of side ``outlines.BOX``; empty where there is none.
    """

    picture: int
    name: str
    mask: str


class Album:
    """Collects tiles, and the pictures that they show.

    Attributes:
      left_out: why the pictures of some runs cannot be shown, a sentence each.
    """

    def __init__(self, runs: Sequence[Run]):
        """Of the runs whose units it is to show, where their stage ``visualize`` was done."""
        self.left_out: list[str] = []
        self._views: dict[str, Views] = {}
        for run in runs:
            try:
                views = load_views(run.workdir)
            except UserError as error:  # the numbers can be compared all the same
                self.left_out.append(f"{run.name} is without pictures: {error}.")
                continue
            if views is not None:
                self._views[run.name] = views
            elif stage_is_done(run.workdir, "visualize"):
                self.left_out.append(f"{run.name} is without pictures: {OF_ANOTHER_VERSION} --workdir={run.workdir}.")
        # Records of the same number are the same image where the fingerprints of the labelled images are.
        self._data = {run.name: run.facts.get(LABELLED, run.name) for run in runs}
        self._keys: dict[tuple[str, int], int] = {}
        self._pictures: dict[int, bytes] = {}

    def tiles(self, run: Run, detector: Detector) -> list[Tile]:
        """The images on which a unit is most active; none if the run has no pictures."""
        views = self._views.get(run.name)
        if views is None:
            return []
        layer = views.layers[detector.layer]
        shown = zip(layer.images[detector.unit], layer.masks[detector.unit], strict=True)
        most = min(layer.top, MOST_TILES)
        return [self._tile(run.name, views, int(image), mask) for image, mask in itertools.islice(shown, most)]

    def pictures(self) -> dict[int, str]:
        """The pictures of all tiles by their keys, as the text of WebP files, made smaller where they are too much."""
        return encoded(self._pictures, BESIDE)

    def _tile(self, run: str, views: Views, image: int, mask: str) -> Tile:
        key = self._keys.setdefault((self._data[run], image), len(self._keys))
        self._pictures[key] = views.pictures[image]
        return Tile(key, views.names[image], mask)
