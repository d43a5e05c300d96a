"""A two-layer CNN on the embedded two-figures data, with the general block norm in place of weight decay.

Reproduces: the synthetic experiment of CGL (Varshneya et al., IJCAI 2021), task binary, at a quarter of its width.
Run:        python launch.py --config=configs/two_figures_gbn.py --workdir=...
Cost:       @COST@
Expect:     @EXPECT_gbn@ (published, at full width, conv2 alone:
            12 of 15 concepts with the block norm, 10 with weight decay; the order was not seen again in small runs).
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_block_norm(common.two_figures(), strength=3e-3)
