"""A two-layer CNN on the embedded two-figures data, with weight decay.

Reproduces: the synthetic experiment of CGL (Varshneya et al., IJCAI 2021), task binary, at a quarter of its width.
Run:        python launch.py --config=configs/two_figures_wd.py --workdir=...
Cost:       two to four minutes on 2 cores.
Expect:     100 % test accuracy; interpretability score 17.3 ± 0.6 over three seeds, block norm 18.3 ± 0.6 (README).
            Published, at full width, conv2 alone: 10 of 15 concepts, with the block norm 12.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_weight_decay(common.two_figures(), strength=1e-4)
