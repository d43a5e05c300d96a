"""A two-layer CNN on the embedded two-figures data with weight decay, the baseline.

Reproduces: the synthetic experiment of CGL (IJCAI 2021), task binary, at a quarter of its width; one regularizer of three.
Run:        python launch.py --config=configs/two_figures_wd.py --workdir=...
Cost:       @COST_two_figures_wd@
Expect:     @EXPECT_two_figures_wd@
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_weight_decay(common.two_figures(), strength=1e-4)
