"""The two-figures experiment over seeds: weight decay, block norm, all three terms of CGL, proximal steps.

Reproduces: CGL's Tab. 1 (Varshneya et al., IJCAI 2021), tasks binary and multiclass, at a quarter of its width.
Run:        interpjax table table_two_figures:search --workdir=DIR --jobs=2    the strengths and learning rates
            interpjax table table_two_figures --workdir=OTHER --jobs=2         the table
Cost:       docs/results.md.
Expect:     published, at full width, unique detectors of conv2: 10 with weight decay (9 in the table itself), 12 with
            the block norm, 14 with all three. By docs/protocol.md strengths are chosen on validation images and
            validation halves alone.
"""

from collections.abc import Iterator

from ml_collections import ConfigDict

from interpjax.config import override
from interpjax.configs import common
from interpjax.errors import UserError
from interpjax.tables import Row, Table

WEIGHT_DECAY, BLOCK_NORM, ALL_THREE, PROXIMAL = "weight decay", "block norm", "all three", "proximal"
PUBLISHED = {WEIGHT_DECAY: 10.0, BLOCK_NORM: 12.0, ALL_THREE: 14.0}  # conv2, binary
SEARCHED = (100, 101)  # seeds of the search; the table has others


def candidates() -> Iterator[tuple[str, str, ConfigDict]]:
    """Regularizer, name and experiment of what is searched: eight for each."""
    for rate in (1e-3, 3e-3):
        base = override(common.two_figures(), {"optimizer.learning_rate": rate})
        for strength in (1e-5, 1e-4, 1e-3, 1e-2):
            yield WEIGHT_DECAY, f"{strength:g}, rate {rate:g}", common.with_weight_decay(_copy(base), strength)
        for strength in (1e-3, 3e-3, 1e-2, 3e-2):
            yield BLOCK_NORM, f"{strength:g}, rate {rate:g}", common.with_block_norm(_copy(base), strength)
        for block in (3e-3, 1e-2):
            for activation in (1e-2, 1e-1):
                terms = {"block_norm": block, "group_activation": activation, "spatial": activation}
                name = f"{block:g}, activations {activation:g}, rate {rate:g}"
                yield ALL_THREE, name, common.with_cgl(_copy(base), **terms)
    for rate in (0.02, 0.05):
        for strength in (0.02, 0.05, 0.1, 0.2):
            config = common.with_proximal_steps(common.two_figures(), strength, rate)
            config.regularizer.grouping.group_size = 4
            yield PROXIMAL, f"{strength:g}, rate {rate:g}", config


def get_table(argument: str = "") -> Table:
    """The search, with the argument ``search``."""
    if argument != "search":
        raise UserError(f"argument {argument!r} of table_two_figures: expected search; the table follows its result")
    rows = [Row(kind, name, _measured(config, "validation")) for kind, name, config in candidates()]
    return Table(
        title="Two figures, binary, a quarter of the width: what was searched",
        rows=tuple(sorted(rows, key=lambda row: (WEIGHT_DECAY, BLOCK_NORM, ALL_THREE, PROXIMAL).index(row.section))),
        seeds=SEARCHED,
        columns=("validation_accuracy", "interpretability_score", "conv1", "conv2", "zero_groups"),
        stages=("train", "evaluate", "dissect"),
        seed_fields=("seed", "data.two_figures.seed"),
        notes="Scores are of the validation half of the labelled images.",
        search=True,
    )


def _copy(config: ConfigDict) -> ConfigDict:
    return config.copy_and_resolve_references()


def _measured(config: ConfigDict, half: str) -> ConfigDict:
    """With a tenth of the training images held out, and dissected on one half of the labelled images."""
    return override(config, {"data.validation": 0.1, "dissection.half": half, "dissection.intervals": False})
