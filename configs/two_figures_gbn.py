"""A two-layer CNN on the embedded two-figures data with the general block norm (p = 2, q = 1, 5 groups) in place of weight decay.

Reproduces: the synthetic experiment of CGL (IJCAI 2021), task binary, at a quarter of its width; one regularizer of three.
Run:        python launch.py --config=configs/two_figures_gbn.py --workdir=...
Cost:       @COST_two_figures_gbn@
Expect:     @EXPECT_two_figures_gbn@
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_block_norm(common.two_figures(), strength=3e-3)
