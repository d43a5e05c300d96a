"""A two-layer CNN on the embedded two-figures data, with the general block norm in place of weight decay.

Reproduces: the synthetic experiment of CGL (Varshneya et al., IJCAI 2021), task binary, at a quarter of its width.
Run:        python launch.py --config=configs/two_figures_gbn.py --workdir=...
Cost:       two to four minutes on 2 cores.
Expect:     100 % test accuracy; interpretability score 18.3 ± 0.6 over three seeds, weight decay 17.3 ± 0.6 (README).
            Published, at full width, conv2 alone: 12 of 15 concepts, with weight decay 10.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_block_norm(common.two_figures(), strength=3e-3)
