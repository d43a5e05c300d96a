"""Two runs beside each other on the same images: whether these very networks differ."""

from interpjax import dissection
from interpjax.comparison.runs import Run
from interpjax.dissection import Comparison
from interpjax.errors import UserError


def compare_layers(first: Run, second: Run, samples: int) -> tuple[dict[str, Comparison], list[str]]:
    """The paired bootstrap over images of each layer that both runs have, see :func:`interpjax.dissection.compare`.

    Args:
      first: the one.
      second: the other.
      samples: how many resamples of the images.

    Returns:
      ``{layer: second minus first}`` of the layers that can be compared, and a clause for each that cannot.

    Raises:
      ValueError: if ``samples`` is no whole number of at least 1.
    """
    found, obstacles = {}, []
    common = [layer for layer in first.results if layer in second.results]
    for layer in common:
        ours, theirs = first.results[layer], second.results[layer]
        if ours.images is None or theirs.images is None:
            run = first if ours.images is None else second
            obstacles.append(f"{layer}: {run.name} has kept no counts by image (see config.dissection.intervals)")
            continue
        try:
            found[layer] = dissection.compare(ours, theirs, samples=samples)
        except UserError as error:  # other protocols, concepts or images: the page says so in place of a number
            obstacles.append(f"{layer}: {error}")
    return found, obstacles if common else ["the runs have no layer of the same name"]
