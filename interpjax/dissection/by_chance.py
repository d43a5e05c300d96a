"""What a dissection of a network would find by chance: with labels that are shuffled, or maps that are rotated."""

from pathlib import Path
from typing import Any

from interpjax import parallel
from interpjax.data.concepts import ConceptData
from interpjax.data.images import SkippedImages
from interpjax.dissection import arguments, dissect, feeds
from interpjax.dissection.chance import Chance
from interpjax.dissection.dissect import masked
from interpjax.dissection.label_draws import label_draws
from interpjax.dissection.labels import ConceptColumns
from interpjax.dissection.protocol import Protocol, get_protocol
from interpjax.dissection.result import Dissection
from interpjax.dissection.rotation import rotated, rotated_layer
from interpjax.dissection.settings import takes_settings
from interpjax.errors import UserError

DRAWN = ("labels", "rotation")
ROTATIONS_AT_A_TIME = 4  # each is another layer of the same pass, and takes as much memory


@takes_settings("layers", "fieldmaps", "batch_size", "image_size", "shard_images", "num_threads", "progress")
def chance(
    activations_fn: feeds.ActivationsFn,
    broden: ConceptData,
    *,
    kind: str = "labels",
    draws: int = 100,
    seed: int = 0,
    protocol: Protocol | None = None,
    skipped: SkippedImages | None = None,
    cache: str | Path | None = None,
    **settings: Any,
) -> dict[str, Chance]:
    """Draws what the layers of a network would be found to detect by chance, with all else as in :func:`dissect`.

    Two kinds are drawn of a network. ``"labels"``: the masks meet the labels of other images that are annotated in the
    same category; the network runs once for all draws, see :func:`interpjax.dissection.label_draws.label_draws`.
    ``"rotation"``: the maps of a layer are multiplied by a random orthogonal matrix; each draw is a dissection of its
    own, four of them in one pass, see :func:`interpjax.dissection.rotation.rotated`. For a third one, dissect networks
    that were never trained, and give them to :meth:`Chance.from_dissections`.

    Args:
      activations_fn: as in :func:`dissect`.
      broden: as in :func:`dissect`.
      kind: ``"labels"`` or ``"rotation"``.
      draws: how many; for a cut that 5 % of them exceed, 20 at least.
      seed: of the draws; draw n is the same however many there are.
      protocol: as in :func:`dissect`.
      skipped: as in :func:`dissect`.
      cache: as in :func:`dissect`.
      **settings: those of :class:`Settings`.

    Returns:
      The chance of each layer.

    Raises:
      ValueError: if there is no such kind, a number is not as expected, or as :func:`dissect`.
      UserError: if no two images can exchange their labels, labels are to be shuffled between several processes, or as
        :func:`dissect`.

    References:
      Bau et al., *Network Dissection*, CVPR 2017, Sec. 3.2, for the rotation.
    """
    if kind not in DRAWN:
        untrained = "; for 'untrained' dissect such networks and call Chance.from_dissections"
        raise ValueError(f"kind = {arguments.shown(kind)}: expected one of {', '.join(DRAWN)}{untrained}")
    draws, seed = arguments.check_whole("draws", draws, 1), arguments.check_whole("seed", seed, 0)
    chosen = get_protocol("paper") if protocol is None else arguments.check_protocol(protocol)
    given = {**settings, "protocol": chosen, "skipped": skipped, "cache": cache, "top_images": 0}
    draw = _of_labels if kind == "labels" else _of_rotations
    return draw(activations_fn, broden, draws, seed, given)


def _of_labels(
    activations_fn: feeds.ActivationsFn, broden: ConceptData, draws: int, seed: int, given: dict[str, Any]
) -> dict[str, Chance]:
    if parallel.shard()[1] > 1:
        raise UserError("kind = 'labels': labels are shuffled within one process; expected no others beside it")
    results, batches = masked(activations_fn, broden, **given)
    found = {}
    for layer, result in results.items():
        units = len(result.thresholds)
        concepts = ConceptColumns.of(result.concepts, result.categories)
        own = label_draws(
            batches, layer, units=units, concepts=concepts, protocol=result.protocol, draws=draws, seed=seed
        )
        counted = (result.concepts, result.protocol, units, result.label_area)
        found[layer] = Chance("labels", *counted, own.unique_detectors, own.best_iou)
    return found


def _of_rotations(
    activations_fn: feeds.ActivationsFn, broden: ConceptData, draws: int, seed: int, given: dict[str, Any]
) -> dict[str, Chance]:
    layers = arguments.check_layers(given["layers"])
    fieldmaps = arguments.check_fieldmaps(given.get("fieldmaps"), layers)
    found: dict[str, list[Dissection]] = {layer: [] for layer in layers}
    for first in range(0, draws, ROTATIONS_AT_A_TIME):
        numbers = range(first, min(first + ROTATIONS_AT_A_TIME, draws))
        network = rotated(activations_fn, layers, draws=numbers, seed=seed)
        names = {rotated_layer(layer, draw): layer for layer in layers for draw in numbers}
        own = {name: fieldmaps[layer] for name, layer in names.items() if layer in fieldmaps}
        results = dissect.dissect(network, broden, **(given | {"layers": tuple(names), "fieldmaps": own}))
        for name, layer in names.items():
            found[layer].append(results[name])
    return {layer: Chance.from_dissections(own, kind="rotation") for layer, own in found.items()}
