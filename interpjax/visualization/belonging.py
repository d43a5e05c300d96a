"""Whether results, labelled images and a network belong to each other: told before anything is drawn of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from interpjax.data import ConceptData
from interpjax.dissection import Dissection
from interpjax.dissection.arguments import listed, shown
from interpjax.visualization.sights import Sights


def counted_data(broden: ConceptData, results: Mapping[str, Dissection]) -> ConceptData:
    """The data with what the results count of them: labels in the categories of their protocol, and no others.

    Args:
      broden: the data that were dissected on.
      results: by the name that messages call each by, as ``"results['conv5']"``.

    Raises:
      ValueError: if one is no result, they are of several protocols' categories, or of other concepts than the data's.
    """
    for name, result in results.items():
        if not isinstance(result, Dissection):
            raise ValueError(f"{name} = {shown(result)}: expected the Dissection of one layer{_slip(name, result)}")
    (first, one), *others = results.items()
    for name, result in others:
        if result.categories != one.categories:
            raise ValueError(
                f"{name}: of the categories {result.categories}; expected those of {first}, {one.categories}"
            )
    missing = [category for category in one.categories if category not in broden.categories]
    if missing:
        raise ValueError(
            f"{first}: of the category {missing[0]!r}, and {broden.name} has {listed(broden.categories)}; expected the "
            "data that it was made with"
        )
    data = broden.restricted(one.categories)
    for name, result in results.items():
        _check_concepts(name, result, data)
    return data


def units_of(sights: Sights) -> dict[str, int]:
    """How many units each layer has, as the maps of one image show it.

    Raises:
      ValueError: if no image can be read.
    """
    for number in sights.numbers():
        for sight in sights.of(np.array([number])):
            return {layer: maps.shape[-1] for layer, maps in sight.maps.items()}
    raise ValueError(f"broden: no image of {sights.concepts.name} can be read; expected one or more")


def check_results(results: Mapping[str, Dissection], sights: Sights) -> None:
    """Raises ValueError for a layer that is not seen, or another number of units, or images that are not there."""
    units = units_of(sights)
    for layer, result in results.items():
        name, count = f"results[{layer!r}]", len(result.thresholds)
        if layer not in units:
            raise ValueError(f"{name}: the network gives no such layer; expected one of {listed(list(units))}")
        if count != units[layer]:
            raise ValueError(f"{name}: of {count} units; expected {units[layer]}, as the network gives of this layer")
        check_images(name, result, sights)


def check_images(name: str, result: Dissection, sights: Sights) -> None:
    """Raises ValueError if the images that units are most active on are not all among those that can be seen."""
    missing = np.setdiff1d(result.top_images, sights.numbers())
    if missing.size:
        raise ValueError(
            f"{name}.top_images: has the image {missing[-1]}, which is not among the {len(sights.numbers())} images "
            f"that are given of {sights.concepts.name}; expected those that were dissected"
        )


def _check_concepts(name: str, result: Dissection, data: ConceptData) -> None:
    columns = ["number", "name"]
    given, known = (table[columns].to_numpy().tolist() for table in (result.concepts, data.concepts))
    if given == known:
        return
    if len(given) != len(known):
        told = f"of {len(given)} concepts; expected the {len(known)} of {data.name}"
    else:
        (number, own), (expected, other) = next(both for both in zip(given, known, strict=True) if both[0] != both[1])
        told = f"of the concept {number} {own!r}, where {data.name} has {expected} {other!r}; expected the same"
    raise ValueError(f"{name}: {told}, with which it was made")


def _slip(name: str, result: Any) -> str:
    """What to give in place of the results of all layers."""
    if not isinstance(result, Mapping) or not result:
        return ""
    return f", as results[{next(iter(result))!r}]"
