"""A whole dissection: the pass over the images, what must be done again, and the sums over all processes."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import jax
import numpy as np
from jaxtyping import Float, Int

from interpjax.dissection.backlog import Backlog
from interpjax.dissection.brackets import Bracket, Found
from interpjax.dissection.kept import KeptSums
from interpjax.dissection.one_pass import OnePass, parts_of
from interpjax.dissection.passes import State, Statistic, Work, run_pass
from interpjax.dissection.plan import Plan
from interpjax.dissection.settling import Key, MaskedBatches, settle
from interpjax.dissection.thresholds import Thresholds
from interpjax.errors import UserError

Gather = Callable[[State], list[State]]


@dataclasses.dataclass(frozen=True, eq=False)
class Process:
    """One of the processes that dissect together.

    Attributes:
      devices: its devices.
      works: its batches from a number on, with or without labels.
      kept: holds what was added up.
      gather: every process's arrays.
      show: is told how many batches of the pass are done.
    """

    devices: list[jax.Device]
    works: Callable[[int, bool], Iterator[Work]]
    kept: KeptSums
    gather: Gather
    show: Callable[[int], None]

    def run(self, name: str, statistic: Statistic, *, labelled: bool = True) -> None:
        """Runs a pass over this process's images."""
        show = self.show if name == "pass" else lambda done: None
        run_pass(name, statistic, lambda start: self.works(start, labelled), self.devices, self.kept, show)

    def backlog(self, name: str) -> Backlog:
        """That of a pass."""
        return Backlog(self.kept.folder, name, self.kept.process)

    def total(self, one_pass: OnePass) -> OnePass:
        """The sums of all processes."""
        states = self.gather(one_pass.sums())
        if len(states) == 1:
            return one_pass
        whole = OnePass(one_pass.plan, Backlog(None, "", (0, 1)))
        for state in states:
            whole.merge(state)
        return whole


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What a dissection found.

    Attributes:
      thresholds: by protocol and layer.
      total: for each of these the sums of all processes.
      masks: of each protocol, on this process's batches, of the layers whose masks were kept.
    """

    thresholds: Mapping[Key, Float[np.ndarray, " units"]]
    total: Mapping[Key, OnePass]
    masks: list[MaskedBatches]


def dissect_images(plan: Plan, process: Process) -> Outcome:
    """Goes over the images once; once more, and again, for layers with a threshold outside of its bracket.

    Raises:
      UserError: if no image could be used; and what the pass raises.
    """
    first = OnePass(plan, process.backlog("pass"))
    if not process.kept.has("pass"):  # what others may have left does not fit
        process.kept.discard("thresholds", "counts")
        first.backlog.forget(0)
    process.run("pass", first)
    passes, thresholds = _first_results(plan, first, process)
    outside = {key: np.flatnonzero(found.outside) for key, found in passes.items() if found.outside.any()}
    done = dict.fromkeys(thresholds, first)
    if outside:
        second, exact = _again(plan, outside, passes, process)
        thresholds |= exact
        done |= dict.fromkeys(exact, second)
    own = {key: values for key, values in thresholds.items() if done[key] is first}
    settle(first, own, process.devices)
    totals = {name: process.total(one) for name, one in {id(one): one for one in done.values()}.items()}
    if any(key not in totals[id(one)].pixels for key, one in done.items()):
        raise UserError("nothing to dissect: no image could be used")
    kept = plan.keep_masks
    masks = [
        MaskedBatches({k: one for k, one in done.items() if k[0] == number and k[1] in kept}, thresholds)
        for number in range(len(plan.protocols))
    ]
    return Outcome(thresholds, {key: totals[id(one)] for key, one in done.items()}, masks)


def _first_results(
    plan: Plan, first: OnePass, process: Process
) -> tuple[dict[tuple[float, str], Found], dict[Key, np.ndarray]]:
    """The quantiles by the brackets of all processes, and the thresholds that they give."""
    if plan.thresholds is not None:
        return {}, dict(plan.thresholds)
    states = process.gather(first.limits())
    brackets: dict[tuple[float, str], list[Mapping[str, np.ndarray]]] = {}
    for state in states:
        for (quantile, layer), own in parts_of(state)["bracket"].items():
            brackets.setdefault((float(quantile), layer), []).append(own)
    if not brackets:
        raise UserError("nothing to dissect: no image could be used")
    found = {key: Bracket.joined(own).found() for key, own in brackets.items()}
    return found, _thresholds(plan, {key: own.values for key, own in found.items()})


def _thresholds(plan: Plan, quantiles: Mapping[tuple[float, str], np.ndarray]) -> dict[Key, np.ndarray]:
    """Of every protocol and layer, rounded as the protocol wants."""
    return {
        (number, layer): protocol.rounded(values)
        for number, (protocol, _) in enumerate(plan.protocols)
        for (quantile, layer), values in quantiles.items()
        if quantile == protocol.top_quantile
    }


def _again(
    plan: Plan,
    outside: Mapping[tuple[float, str], Int[np.ndarray, " units"]],
    found: Mapping[tuple[float, str], Found],
    process: Process,
) -> tuple[OnePass, dict[Key, np.ndarray]]:
    """Exact thresholds of the units that left their brackets; with these, the counts of their layers."""
    exact = Thresholds(outside, plan.images)
    process.run("thresholds", exact, labelled=False)
    states = process.gather(exact.state())
    whole = exact
    if len(states) > 1:
        whole = Thresholds(outside, plan.images)
        for state in states:
            whole.merge(state)
    quantiles = {}
    for key, units in outside.items():
        quantiles[key] = found[key].values.copy()
        quantiles[key][units] = whole.quantiles[key].result()
    thresholds = _thresholds(plan, quantiles)
    layers = tuple(dict.fromkeys(layer for _, layer in outside))
    counted = dataclasses.replace(plan, layers=layers, thresholds=thresholds)
    second = OnePass(counted, process.backlog("counts"))
    if not process.kept.has("counts"):
        second.backlog.forget(0)
    process.run("counts", second)
    return second, thresholds


def forget(process: Process) -> None:
    """Removes what was kept till the thresholds were known."""
    for name in ("pass", "counts"):
        process.backlog(name).forget(0)
