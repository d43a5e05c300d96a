"""Groups of a layer's units, dissected as if each were one unit whose mask is the union of its members' masks."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from interpjax.dissection import scoring, tally
from interpjax.dissection.arguments import check_whole
from interpjax.dissection.group_result import GroupResult
from interpjax.dissection.images import count_masks
from interpjax.dissection.labels import ConceptColumns, batch_labels
from interpjax.dissection.masks import MaskedBatch, Masks, sorted_masks

if TYPE_CHECKING:
    from interpjax.dissection.result import Dissection


def membership(grouping: Any, units: int, name: str = "grouping") -> Int[np.ndarray, " units"]:
    """The number of each unit's group, −1 for units that are in none.

    Args:
      grouping: whatever has ``members(units)``, as ``interpjax.regularizers.Grouping``, which gives the units of each
        group; or a list of them; or an integer array [units] that is returned as it is.
      units: how many there are.
      name: what to call the grouping in errors.

    Raises:
      ValueError: if there is no group or one without a unit, a unit is in two groups or is none of the layer's, or the
        grouping is of a layer's inputs.
    """
    if getattr(grouping, "axis", "filters") != "filters":
        raise ValueError(f"{name}.axis = {grouping.axis!r}: expected 'filters', for a layer's units are its filters")
    if isinstance(grouping, np.ndarray) and grouping.ndim == 1 and np.issubdtype(grouping.dtype, np.integer):
        group_of = grouping
        if len(group_of) != units:
            raise ValueError(f"{name}: numbers of {len(group_of)} units; expected {units}, as many as the layer has")
    else:
        members = grouping.members(units) if hasattr(grouping, "members") else grouping
        if not isinstance(members, list | tuple):
            raise ValueError(f"{name}: a {type(grouping).__name__}; expected a Grouping, an integer array or a list")
        group_of = _numbered(members, units, name)
    found = np.unique(group_of[group_of != -1])
    if not len(found) or not np.array_equal(found, np.arange(len(found))):
        raise ValueError(
            f"{name}: units in groups {found.tolist()}; expected units in all from 0 to the last, and -1 for none"
        )
    return group_of


def _numbered(groups: Sequence[Any], units: int, name: str) -> Int[np.ndarray, " units"]:
    group_of = np.full(units, -1)
    for number, members in enumerate(map(np.asarray, groups)):
        if members.ndim != 1 or not np.issubdtype(members.dtype, np.integer) or not len(members):
            raise ValueError(f"{name}: group {number} is {members.tolist()!r}; expected the numbers of its units")
        outside = members[(members < 0) | (members >= units)]
        if len(outside):
            raise ValueError(f"{name}: unit {outside[0]} in group {number}; expected 0 to {units - 1}")
        if (group_of[members] != -1).any() or len(np.unique(members)) < len(members):
            raise ValueError(f"{name}: a unit of group {number} comes twice; expected each in one group at most")
        group_of[members] = number
    return group_of


def group_masks(masks: Masks, group_of: Int[np.ndarray, " units"]) -> Masks:
    """The masks of groups: the union of their units' masks. ``unit`` is the group's number.

    Args:
      masks: of units.
      group_of: the number of each unit's group, −1 for none.
    """
    group, groups = group_of[masks.unit], int(group_of.max()) + 1
    chosen = np.flatnonzero(group >= 0)
    number = masks.image[chosen].astype(np.int64) * groups + group[chosen]
    return sorted_masks(number, masks.tile[chosen], masks.words[chosen], groups)


def count_groups(
    batches: Iterable[MaskedBatch],
    layer: str,
    group_of: Int[np.ndarray, " units"],
    *,
    dissection: "Dissection",
    draws: int = 20,
    seed: int = 0,
    relevance: Float[np.ndarray, " groups"] | None = None,
    summed: Callable[[np.ndarray], np.ndarray] = lambda counts: counts,
) -> GroupResult:
    """Dissects groups of units, and random groups of the same sizes beside them, in one pass over the masks.

    Args:
      batches: the units' masks on all images, once each.
      layer: whose.
      group_of: the number of each unit's group, −1 for none, see :func:`membership`.
      dissection: of the units, on the same images.
      draws: how many random groupings: those in which units have changed their places with each other, at random,
        free ones too, so that sizes stay.
      seed: of the draws.
      relevance: of each group to the network, if it is known, for the table.
      summed: adds counts up over all processes, where each has some of the images.

    Returns:
      Counts of the groups and of the random ones.

    Raises:
      ValueError: if ``draws`` is no whole number of at least 1, or ``relevance`` is not of the groups.
    """
    draws, groups = check_whole("draws", draws, 1), int(group_of.max()) + 1
    if relevance is not None and len(relevance) != groups:
        raise ValueError(f"relevance: of {len(relevance)} groups; expected {groups}")
    generator = np.random.default_rng(seed)
    regrouped = np.stack([generator.permutation(group_of) for _ in range(draws)])
    concepts = ConceptColumns.of(dissection.concepts, dissection.categories)
    intersection = np.zeros((1 + draws, groups * len(concepts.numbers)), np.int64)
    area = np.zeros((1 + draws, groups * concepts.num_categories), np.int64)
    for batch in batches:
        labels = batch_labels(batch.labels)
        for number, own in enumerate((group_of, *regrouped)):
            masks = group_masks(batch.masks[layer], own)
            counts = count_masks(masks, labels, units=groups, concepts=concepts, protocol=dissection.protocol)
            intersection[number] += counts[0].sum(axis=0)
            area[number] += counts[1].sum(axis=0)
    intersection, area = summed(intersection), summed(area)
    counts = intersection.reshape(1 + draws, groups, -1), area.reshape(1 + draws, groups, -1)[..., concepts.category_of]
    random_iou = [tally.iou(*sums, dissection.label_area).max(axis=1) for sums in zip(*counts, strict=True)][1:]
    best, score = scoring.best_concepts(dissection.iou)
    return GroupResult(
        concepts=dissection.concepts,
        detector_iou=dissection.protocol.detector_iou,
        detects=np.where(score >= dissection.protocol.detector_iou, best, -1),
        group_of=group_of,
        intersection=counts[0][0],
        unit_area=counts[1][0],
        label_area=dissection.label_area,
        random_of=regrouped,
        random_iou=np.stack(random_iou),
        relevance=relevance,
    )
