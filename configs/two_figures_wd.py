"""A two-layer CNN on the embedded two-figures data, with weight decay.

Reproduces: the synthetic experiment of CGL (Varshneya et al., IJCAI 2021), task binary, at a quarter of its width.
Run:        python launch.py --config=configs/two_figures_wd.py --workdir=...
Cost:       @COST@
Expect:     @EXPECT_wd@ (published, at full width, conv2 alone:
            10 of 15 concepts; the order was not seen again in small runs).
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_weight_decay(common.two_figures(), strength=1e-4)
