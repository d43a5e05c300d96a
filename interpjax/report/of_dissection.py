"""The page of any dissection: of a network of JAX or PyTorch, or of stored activations, with or without a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interpjax.data import ConceptData
from interpjax.dissection import ActivationsFn, Chance, Dissection
from interpjax.dissection.arguments import shown
from interpjax.report import page, scores
from interpjax.visualization import belonging, views
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
      ValueError: if there is no result, results do not belong to the data or the network, stored activations come
        without names, chances are of other layers, or ``path`` is a folder.
      OSError: if the file cannot be written.
    """
    if not isinstance(results, Mapping) or not results:
        raise ValueError(f"results = {shown(results)}: expected {{layer: Dissection}}, as of dissect(…)")
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"path = {str(path)!r}: is a folder; expected the path of a file, as 'page.html'")
    for drawn in chances:
        if set(drawn) != set(results):
            raise ValueError(f"chances: of layers {sorted(drawn)}; expected those of the results, {sorted(results)}")
    data = belonging.counted_data(broden, {f"results[{layer!r}]": own for layer, own in results.items()})
    sights = sights_of(network, data, images, batch_size=batch_size, image_size=image_size)
    belonging.check_results(results, sights)
    found = views.view(sights, results)
    summary, intervals = scores.score_with_intervals(results)
    for drawn in chances:
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
