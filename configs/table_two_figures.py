"""The two-figures experiment over seeds: weight decay, block norm, all three terms of CGL, proximal steps.

Reproduces: CGL's Tab. 1 (Varshneya et al., IJCAI 2021), task binary, at a quarter of its width. So far it is the search
            of strengths and learning rates alone, which by docs/protocol.md are chosen on validation images and
            validation halves; the table follows its result.
Run:        interpjax table table_two_figures:search --workdir=DIR --jobs=2
Cost:       64 runs of about three minutes, two at once, on 2 cores (results/two_figures_search).
Expect:     published, at full width, unique detectors of conv2: 10 with weight decay (9 in the table itself), 12 with
            the block norm, 14 with all three.
"""

from collections.abc import Iterator

from ml_collections import ConfigDict

from interpjax.config import override
from interpjax.configs import common
from interpjax.errors import UserError
from interpjax.tables import Row, Table

RATES = (1e-3, 3e-3)  # of Adam
SEARCHED = (100, 101)  # seeds of the search; the table has others


def get_table(argument: str = "") -> Table:
    """The search, with the argument ``search``."""
    if argument != "search":
        raise UserError(f"argument {argument!r} of table_two_figures: expected search; the table follows its result")
    # A tenth of the training images is held out, and the validation half of the labelled images dissected with.
    fields = {"data.validation": 0.1, "dissection.half": "validation", "dissection.intervals": False}
    return Table(
        title="Two figures, binary, a quarter of the width: what was searched",
        rows=tuple(Row(kind, name, override(config, fields)) for kind, name, config in _candidates()),
        seeds=SEARCHED,
        columns=("validation_accuracy", "interpretability_score", "conv1", "conv2", "zero_groups"),
        stages=("train", "evaluate", "dissect"),
        seed_fields=("seed", "data.two_figures.seed"),
        notes="Scores are of the validation half of the labelled images.",
        search=True,
    )


def _candidates() -> Iterator[tuple[str, str, ConfigDict]]:
    """Regularizer, name and experiment of what is searched: eight for each."""
    for rate in RATES:
        for strength in (1e-5, 1e-4, 1e-3, 1e-2):
            yield "weight decay", f"{strength:g}, rate {rate:g}", common.with_weight_decay(_base(rate), strength)
    for rate in RATES:
        for strength in (1e-3, 3e-3, 1e-2, 3e-2):
            yield "block norm", f"{strength:g}, rate {rate:g}", common.with_block_norm(_base(rate), strength)
    for rate in RATES:
        for block in (3e-3, 1e-2):
            for activation in (1e-2, 1e-1):
                name = f"{block:g}, activations {activation:g}, rate {rate:g}"
                yield "all three", name, common.with_cgl(_base(rate), block, activation, activation)
    for rate in (0.02, 0.05):  # of SGD
        for strength in (0.02, 0.05, 0.1, 0.2):
            config = common.with_proximal_steps(common.two_figures(), strength, rate)
            config.regularizer.grouping.group_size = 4
            yield "proximal", f"{strength:g}, rate {rate:g}", config


def _base(rate: float) -> ConfigDict:
    return override(common.two_figures(), {"optimizer.learning_rate": rate})
