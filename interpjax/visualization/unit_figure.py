"""One unit as a figure: the images it is most active on with its masks, what is marked there, and weaker images."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, NullFormatter

from interpjax.data import ConceptData
from interpjax.dissection import ActivationsFn, Dissection
from interpjax.dissection.arguments import check_whole, listed
from interpjax.dissection.scoring import best_concepts
from interpjax.visualization.belonging import check_images, counted_data, units_of
from interpjax.visualization.masks import counted_mask, label_mask
from interpjax.visualization.sights import Sight, Sights, sights_of
from interpjax.visualization.views import BINS, LOWER, Sample, chosen, concepts_of, draw_samples

MASK, LABEL = "#ffe14d", "#4dd7ff"
PANEL = 1.5  # inches
# Names of concepts and layers are no formulas, whatever is in them.
STYLE: dict[Any, Any] = {"axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False}


class _Seen(NamedTuple):
    image: UInt8[np.ndarray, "height width 3"]
    value: float
    mask: Bool[np.ndarray, "label_height label_width"]
    label: Bool[np.ndarray, "label_height label_width"]


def show_unit(
    network: ActivationsFn | Mapping[str, Any],
    broden: ConceptData,
    result: Dissection,
    unit: int,
    *,
    layer: str | None = None,
    images: Sequence[str] | None = None,
    batch_size: int = 64,
    image_size: int | None = None,
) -> Figure:
    """Draws what a unit looks at.

    In the first row are the images on which it is most active; the yellow line is its mask. In the second row are the
    same images with the label of its best concept in blue; in the third some on which it is weaker, and a histogram of
    its activations on a random sample of images, with its threshold.

    Args:
      network: that was dissected, of JAX or PyTorch, or any function from images to maps; or stored activations,
        ``{layer: [images, h, w, units]}``.
      broden: the data that it was dissected on.
      result: of the dissection of its layer.
      unit: its number, from 0.
      layer: whose unit it is, where the network gives the maps of several layers.
      images: names of the rows of stored activations, as in ``index.csv``.
      batch_size: images at a time.
      image_size: squash images to this side first, as in the dissection.

    Returns:
      A matplotlib figure; a notebook shows it, and ``figure.savefig("unit.pdf")`` writes it.

    Raises:
      ValueError: if there is no such unit or layer, several layers fit, the result does not belong to the data or the
        network, or stored activations come without names.
    """
    data = counted_data(broden, {"result": result})
    count = len(result.thresholds)
    if check_whole("unit", unit, 0) >= count:
        raise ValueError(f"unit = {unit}: expected 0 to {count - 1}, a unit of the result")
    sights = sights_of(network, data, images, batch_size=batch_size, image_size=image_size)
    layer = _layer(sights, count, layer)
    check_images("result", result, sights)
    sample = draw_samples(sights, {layer: result})[layer]
    wanted = chosen(result, sample)[unit]
    column = int(best_concepts(result.iou)[0][unit])
    number = int(result.concepts["number"].iloc[column]) if column >= 0 else None
    seen = {}
    for sight in sights.of(np.union1d(wanted, sample.numbers)):
        sample.add(sight, sight.maps[layer])
        if sight.number in wanted:
            seen[sight.number] = _seen(sight, result, layer, unit, number)
    top = result.top_images.shape[1]
    with rc_context(STYLE):
        figure = _drawn([seen[own] for own in wanted[:top]], [seen[own] for own in wanted[top:]], result, unit, sample)
        figure.suptitle(_title(result, layer, unit), fontsize="medium", x=0.01, ha="left")
    return figure


def _layer(sights: Sights, units: int, layer: str | None) -> str:
    seen = units_of(sights)
    fitting = [name for name, own in seen.items() if own == units]
    if layer is not None:
        if layer not in fitting:
            raise ValueError(
                f"layer = {layer!r}: expected one of {units} units, as the result has, of {listed(list(seen))}"
            )
        return layer
    if len(fitting) != 1:
        raise ValueError(
            f"layer = None: {len(fitting)} of the layers {listed(list(seen))} have {units} units, as the result has; "
            "expected its name"
        )
    return fitting[0]


def _seen(sight: Sight, result: Dissection, layer: str, unit: int, number: int | None) -> _Seen:
    own = sight.maps[layer][..., unit]
    mask = counted_mask(own, result, unit, sight.record.label_shape, sight.input_shape)
    label = np.zeros_like(mask) if number is None else label_mask(sight.labels, sight.record.label_shape, number)
    return _Seen(sight.image, float(own.max()), mask, label)


def _drawn(top: Sequence[_Seen], weaker: Sequence[_Seen], result: Dissection, unit: int, sample: Sample) -> Figure:
    columns = max(len(top), len(weaker) + 2)
    figure = Figure(figsize=(PANEL * columns, 3 * PANEL + 1.1), layout="constrained")
    grid = figure.add_gridspec(3, columns)
    concept = result.best()["concept"].iloc[unit] or "no concept"
    for column, seen in enumerate(top):
        for row, (what, color, name) in enumerate(((seen.mask, MASK, "most active"), (seen.label, LABEL, concept))):
            axes = figure.add_subplot(grid[row, column])
            _image(axes, seen.image, what, color)
            axes.set_title(f"{seen.value:.3g}" if row == 0 else "", fontsize="small")
            axes.set_ylabel(name if column == 0 else "", fontsize="small")
    for column, (share, seen) in enumerate(zip(LOWER, weaker, strict=True)):
        axes = figure.add_subplot(grid[2, column])
        _image(axes, seen.image, seen.mask, MASK)
        axes.set_title(f"above {share:.0%}\nof images: {seen.value:.3g}", fontsize="small")
        axes.set_ylabel("weaker" if column == 0 else "", fontsize="small")
    _histogram(figure.add_subplot(grid[2, len(weaker) :]), sample, unit, result.thresholds[unit])
    return figure


def _histogram(axes: Axes, sample: Sample, unit: int, threshold: float) -> None:
    counts = sample.counts[unit]
    axes.stairs(counts, np.linspace(sample.low[unit], sample.high[unit], BINS + 1), fill=True, color="0.6")
    axes.axvline(threshold, color="#d55e00")
    if counts.max() >= 100 * counts[counts > 0].min():  # else an axis of powers of ten would have a label or none
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))  # others write powers of ten as formulas
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel(f"activation; T = {threshold:.3g}", fontsize="small")
    axes.tick_params(labelsize="small")


def _image(
    axes: Axes,
    image: UInt8[np.ndarray, "height width 3"],
    mask: Bool[np.ndarray, "label_height label_width"],
    color: str,
) -> None:
    height, width = image.shape[:2]
    axes.imshow(image)
    if mask.any() and not mask.all():
        sides = zip(mask.shape, (height, width), strict=True)
        rows, columns = ((np.arange(count) + 0.5) * side / count - 0.5 for count, side in sides)
        axes.contour(columns, rows, mask, levels=[0.5], colors=[color], linewidths=1.2)
    axes.set_xticks([])
    axes.set_yticks([])


def _title(result: Dissection, layer: str, unit: int) -> str:
    best = result.best().iloc[unit]
    names = result.concepts["name"]
    others = ", ".join(f"{names.iloc[column]} {iou:.3f}" for column, iou in concepts_of(result, unit))
    found = (
        f"{best['concept']} ({best['category']}), IoU {best['iou']:.3f}" if best["concept"] else "overlaps no concept"
    )
    return f"{layer} unit {unit + 1} (unit={unit}): {found}" + (f"; then {others}" if others else "")
