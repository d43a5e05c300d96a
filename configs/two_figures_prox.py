"""A two-layer CNN on the embedded two-figures data, whose superfluous groups of filters become exactly zero.

Shows:  the block norm by proximal steps (SGD with momentum), on groups of four filters; the report plots the norms of
        the groups and the share of zero ones over training.
Run:    python launch.py --config=configs/two_figures_prox.py --workdir=...
Cost:   two to four minutes on 2 cores.
Expect: 100 % test accuracy with 2 of conv1's 8 groups and 10 of conv2's 16 exactly zero
        (docs/results_earlier.md); nothing published.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    config = common.with_proximal_steps(common.two_figures(), strength=0.2, learning_rate=0.05)
    config.regularizer.grouping.group_size = 4
    return config
