"""The page of any dissection: of a network of JAX or PyTorch, or of stored activations, with or without a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from interpjax.data import ConceptData
from interpjax.dissection import ActivationsFn, Chance, Dissection, bootstrap_all
from interpjax.dissection.arguments import shown
from interpjax.report import page, scores
from interpjax.visualization import views
from interpjax.visualization.sights import sights_of


def report(
    results: Mapping[str, Dissection],
    broden: ConceptData,
    network: ActivationsFn | Mapping[str, Any],
    path: str | Path,
    *,
    chances: Sequence[Mapping[str, Chance]] = (),
    images: Sequence[str] | None = None,
    batch_size: int = 64,
    image_size: int | None = None,
    title: str = "",
) -> None:
    """Writes the page of a dissection: one file that opens offline.

    It shows each layer's detectors, groups where it was dissected with them, concepts and units, each with the images
    that the unit is most active on. Intervals are on it where the dissection kept counts by image.

    Args:
      results: by layer, of :func:`~interpjax.dissection.dissect` or :func:`~interpjax.dissection.dissect_arrays`.
      broden: the data that it was made with.
      network: that was dissected; or the stored activations, ``{layer: [images, h, w, units]}``.
      path: of the file.
      chances: what :func:`~interpjax.dissection.chance` gave of these layers, one mapping for each kind.
      images: names of the rows of stored activations, as in ``index.csv``.
      batch_size: images at a time.
      image_size: squash images to this side first, as in the dissection.
      title: of the page; by default the file's name.

    Raises:
      ValueError: if there is no result, stored activations come without names, or chances are of other layers.
      OSError: if the file cannot be written.
    """
    if not isinstance(results, Mapping) or not results:
        raise ValueError(f"results = {shown(results)}: expected {{layer: Dissection}}, as of dissect(…)")
    path = Path(path)
    settings = {} if isinstance(network, Mapping) else {"batch_size": batch_size, "image_size": image_size}
    found = views.view(sights_of(network, broden, images, **settings), results)
    summary = scores.score(results)
    intervals: dict[str, pd.DataFrame] = {}
    if all(result.images is not None for result in results.values()):
        score, intervals = bootstrap_all(results)
        summary = scores.with_intervals(summary, score)
    for drawn in chances:
        if set(drawn) != set(results):
            raise ValueError(f"chances: of layers {sorted(drawn)}; expected those of the results, {sorted(results)}")
        kind = next(iter(drawn.values())).kind
        summary = {**summary, "chance": {**summary.get("chance", {}), kind: scores.beside_chance(results, drawn)}}
    content = page.Content(
        title=title or path.stem,
        summary=summary,
        results=results,
        intervals=intervals,
        views=found,
        words=f"the labelled images of {broden.name}",
    )
    page.write_page(path, content)
