"""AlexNet on Places365 with all three terms of CGL in place of weight decay.

The strength of the block norm is the published one; those of the two losses on activations are not given in the paper
and are ours, not tuned.

Needs:  places365_small as TFDS array_record (--config.data.directory=DIR, by default ~/tensorflow_datasets) and the
        unpacked broden1_224 of Network Dissection; docs/data.md has the commands for both.
Run:    python launch.py --config=configs/places365_cgl.py --workdir=... --config.dissection.broden=DIR
Cost:   90 epochs of 1.8 M images; not yet measured on a GPU.
Expect: interpretability score 185 (CGL, Tab. 2), with weight decay 130. Published single runs; not yet reproduced here.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_cgl(common.places365(), block_norm=5e-3, group_activation=1e-2, spatial=1e-2)
