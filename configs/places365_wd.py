"""AlexNet on Places365 with weight decay: the published recipe.

Needs:  places365_small as TFDS array_record (--config.data.directory=DIR, by default ~/tensorflow_datasets) and the
        unpacked broden1_224 of Network Dissection; docs/data.md has the commands for both.
Run:    python launch.py --config=configs/places365_wd.py --workdir=... --config.dissection.broden=DIR
Cost:   90 epochs of 1.8 M images; not yet measured on a GPU.
Expect: interpretability score 130, top-1 51.14 % (CGL, Tab. 2: a downloaded model, not trained by this recipe). Not
        yet reproduced here.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_weight_decay(common.places365(), strength=1e-4)
