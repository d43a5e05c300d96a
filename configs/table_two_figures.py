"""The two-figures experiment over seeds: weight decay, block norm, all three terms of CGL, proximal steps.

Reproduces: CGL's Tab. 1 (Varshneya et al., IJCAI 2021), by the protocol of docs/protocol.md.
Run:        interpjax table table_two_figures --workdir=DIR --jobs=2; or one of TABLES below, as
            table_two_figures:search.
Cost:       80 runs of about two minutes, two at once, on 2 cores of an AMD EPYC with other jobs beside them.
Expect:     published, at full width, unique detectors of conv2: 10 with weight decay (9 in the table itself), 12 with
            the block norm, 14 with all three. What came out here is in docs/results.md.
"""

from collections.abc import Sequence

from ml_collections import ConfigDict

from interpjax.config import override
from interpjax.configs import common
from interpjax.tables import Row, Table

RATES = (1e-3, 3e-3)  # of Adam
WEIGHT_DECAYS = (1e-5, 1e-4, 1e-3, 1e-2)
BLOCK_NORMS = (1e-3, 3e-3, 1e-2, 3e-2)
# What the search has chosen from these, by the rule of docs/protocol.md; results/two_figures_search has it.
CHOSEN = {
    "weight decay": "0.001, rate 0.003",
    "block norm": "0.01, rate 0.003",
    "all three": "0.003, activations 0.01, rate 0.001",
    "proximal": "0.05, rate 0.05",
}
STRONGER = (0.1, 0.3, 1.0)  # than what was searched, to see where the accuracy falls
EXPONENTS = (1.0, 4 / 3, 2.0, 4.0, float("inf"))
PUBLISHED = {"weight decay": {"conv2": 10.0}, "block norm": {"conv2": 12.0}, "all three": {"conv2": 14.0}}
SCORES = ("accuracy", "interpretability_score", "conv1", "conv2")
ALL_SCORES = (*SCORES, "calibrated", "by_chance", "untrained", "rud")
SEED_FIELDS = ("seed", "data.two_figures.seed")  # so that the images are others too
STAGES = ("train", "evaluate", "dissect")
NORM, GROUPING, PRUNING = "regularizer.block_norm", "regularizer.grouping", "optimizer.pruning"


def get_table(argument: str = "") -> Table:
    """One of :data:`TABLES`."""
    return common.table_of(TABLES, argument, "table_two_figures")


def _tasks() -> Table:
    """Both tasks, with what was chosen for the binary one."""
    rows = [
        Row(
            task,
            name,
            override(config, {"data.two_figures.task": task}),
            PUBLISHED.get(name, {}) if task == "binary" else {},
        )
        for task in ("binary", "multiclass")
        for name, config in _chosen().items()
    ]
    notes = "Published: single runs of the binary task, at four times the width."
    return _table("Two figures, a quarter of the width", rows, range(10), notes=notes)


def _published_width() -> Table:
    """The binary task with 128 and 256 filters, as published; of proximal steps the first five seeds alone."""
    rows = [
        Row(
            "binary",
            name,
            override(config, {"model.width": 1.0}),
            PUBLISHED.get(name, {}),
            seeds=tuple(range(5)) if name == "proximal" else (),
        )
        for name, config in (_chosen() | _at_other_rates(("weight decay",))).items()
    ]
    notes = "Strengths and learning rates are those that were chosen at a quarter of the width."
    return _table("Two figures, the published width", rows, range(11), notes=notes)


def _controls() -> Table:
    """Whether the regularizer, the grouping, the zeros and the labels have to do with it."""
    weight_decay, block_norm = (_chosen()[name] for name in ("weight decay", "block norm"))
    configs = {
        "weight decay": weight_decay,
        "no regularizer": override(weight_decay, {"regularizer.weight_decay.strength": 0.0}),
        "block norm": block_norm,
        "block norm, groups permuted": override(block_norm, {f"{GROUPING}.order": "strided"}),
        # The norms of the 6 and 12 filters of a group are in sum about √6 and √12 times its norm: so about as strong.
        "block norm, groups of one filter, a third as strong": override(
            block_norm,
            {f"{GROUPING}.group_size": 1, f"{NORM}.strength": block_norm.regularizer.block_norm.strength / 3},
        ),
        # In the search the proximal steps of this strength made 44 of conv2's 64 filters zero, and none of conv1's.
        "proximal, strength 0.2": override(_candidates()["proximal"]["0.2, rate 0.05"], common.TESTED),
        "weight decay, conv2 69 % pruned": override(
            weight_decay, {f"{PRUNING}.sparsity": 44 / 64, f"{PRUNING}.layers": ("conv2",)}
        ),
        "weight decay, 90 % pruned": override(weight_decay, {f"{PRUNING}.sparsity": 0.9}),
        "weight decay, labels shuffled": override(weight_decay, {"data.shuffled_labels": True}),
        "block norm, labels shuffled": override(block_norm, {"data.shuffled_labels": True}),
    } | _at_other_rates(("weight decay", "all three"))
    rows = [Row("binary", name, config) for name, config in configs.items()]
    title = "Two figures, binary, a quarter of the width: controls"
    return _table(title, rows, range(10), (*ALL_SCORES, "zero_weights"))


def _exponents() -> Table:
    """The block norm's p and q, at the strength and learning rate that were chosen for p = 2 and q = 1."""
    base = _chosen()["block norm"]
    rows = [
        Row(f"p = {p:.4g}", f"q = {q:.4g}", override(base, {f"{NORM}.p": p, f"{NORM}.q": q}))
        for p in EXPONENTS
        for q in EXPONENTS
    ]
    title = "Two figures, binary, a quarter of the width: exponents of the block norm"
    return _table(title, rows, range(5), (*SCORES, "zero_groups"), STAGES)


def _strengths() -> Table:
    """From weak to so strong that the accuracy falls, at the larger learning rate: a front."""
    rate = RATES[-1]
    configs = [("weight decay", s, common.with_weight_decay(_base(rate), s)) for s in (*WEIGHT_DECAYS, *STRONGER)]
    configs += [("block norm", s, common.with_block_norm(_base(rate), s)) for s in (*BLOCK_NORMS, *STRONGER)]
    rows = [Row(kind, f"{strength:g}", override(config, common.TESTED)) for kind, strength, config in configs]
    title = "Two figures, binary, a quarter of the width: strengths"
    return _table(title, rows, range(5), (*SCORES, "zero_groups"), STAGES)


def _search() -> Table:
    """What there is to choose from, with seeds that no other table has."""
    rows = [
        Row(kind, name, override(config, common.SEARCHED))
        for kind, candidates in _candidates().items()
        for name, config in candidates.items()
    ]
    return Table(
        title="Two figures, binary, a quarter of the width: what was searched",
        rows=tuple(rows),
        seeds=(100, 101),
        columns=("validation_accuracy", "interpretability_score", "conv1", "conv2", "zero_groups"),
        stages=STAGES,
        seed_fields=SEED_FIELDS,
        notes=common.OF_SEARCH,
        search=True,
    )


TABLES = {
    "": _tasks,
    "published_width": _published_width,
    "controls": _controls,
    "exponents": _exponents,
    "strengths": _strengths,
    "search": _search,
}


def _table(
    title: str,
    rows: Sequence[Row],
    seeds: Sequence[int],
    columns: Sequence[str] = ALL_SCORES,
    stages: Sequence[str] = (*STAGES, "chance"),
    notes: str = "",
) -> Table:
    return Table(
        title,
        tuple(rows),
        tuple(seeds),
        tuple(columns),
        tuple(stages),
        SEED_FIELDS,
        f"{common.OF_TEST} {notes}".strip(),
    )


def _chosen() -> dict[str, ConfigDict]:
    """By regularizer, the candidate that was chosen."""
    found = _candidates()
    return {kind: override(found[kind][name], common.TESTED) for kind, name in CHOSEN.items()}


def _at_other_rates(kinds: Sequence[str]) -> dict[str, ConfigDict]:
    """What was chosen of some regularizers, at the learning rate that was not chosen."""
    chosen, found = _chosen(), {}
    for kind in kinds:
        (rate,) = (each for each in RATES if each != chosen[kind].optimizer.learning_rate)
        found[f"{kind}, rate {rate:g}"] = override(chosen[kind], {"optimizer.learning_rate": rate})
    return found


def _candidates() -> dict[str, dict[str, ConfigDict]]:
    """By regularizer and name what is searched: eight experiments for each."""
    found: dict[str, dict[str, ConfigDict]] = {kind: {} for kind in CHOSEN}
    for rate in RATES:
        for strength in WEIGHT_DECAYS:
            name = f"{strength:g}, rate {rate:g}"
            found["weight decay"][name] = common.with_weight_decay(_base(rate), strength)
        for strength in BLOCK_NORMS:
            found["block norm"][f"{strength:g}, rate {rate:g}"] = common.with_block_norm(_base(rate), strength)
        for block in (3e-3, 1e-2):
            for activation in (1e-2, 1e-1):
                name = f"{block:g}, activations {activation:g}, rate {rate:g}"
                found["all three"][name] = common.with_cgl(_base(rate), block, activation, activation)
    for rate in (0.02, 0.05):  # of SGD
        for strength in (0.02, 0.05, 0.1, 0.2):
            config = common.with_proximal_steps(common.two_figures(), strength, rate)
            config.regularizer.grouping.group_size = 4
            found["proximal"][f"{strength:g}, rate {rate:g}"] = config
    return found


def _base(rate: float) -> ConfigDict:
    return override(common.two_figures(), {"optimizer.learning_rate": rate})
