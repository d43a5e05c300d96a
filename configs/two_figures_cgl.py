"""A two-layer CNN on the embedded two-figures data, with all three terms of CGL in place of weight decay.

Reproduces: the synthetic experiment of CGL (Varshneya et al., IJCAI 2021), task binary, at a quarter of its width.
Run:        python launch.py --config=configs/two_figures_cgl.py --workdir=...
Cost:       three to five minutes on 2 cores.
Expect:     100 % test accuracy, interpretability score 18 (one seed, docs/results_earlier.md).
            Published, at full width, conv2 alone: 14 of 15 concepts, with weight decay 10.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_cgl(common.two_figures(), block_norm=3e-3, group_activation=1e-2, spatial=1e-2)
