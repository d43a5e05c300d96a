"""AlexNet on Places365 with the general block norm in place of weight decay: the published recipe.

Needs:  places365_small as TFDS array_record (--config.data.directory=DIR, by default ~/tensorflow_datasets) and the
        unpacked broden1_224 of Network Dissection; docs/data.md has the commands for both.
Run:    python launch.py --config=configs/places365_gbn.py --workdir=... --config.dissection.broden=DIR
Cost:   90 epochs of 1.8 M images; not yet measured on a GPU.
Expect: interpretability score 187 (TUKL, Tab. 1) or 173 (CGL, Tab. 2), with weight decay 130; top-1
        about 51 %. Published single runs; not yet reproduced here.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_block_norm(common.places365(), strength=5e-3)
