"""A half-width AlexNet on your own images, with weight decay.

Needs:  a folder of class folders of images for training and one for testing, and a directory in Broden's layout.
Run:    python launch.py --config=configs/image_folder_wd.py --workdir=... --config.data.train=DIR
        --config.data.test=DIR --config.dissection.broden=DIR
Cost:   15 minutes on 2 cores for 5,400 images of 128² and 1,917 to dissect with.
Expect: 82.22 % accuracy on 900 images of six scene classes, interpretability score 52; block norm 46
        (docs/results_earlier.md).
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_weight_decay(common.image_folder(), strength=1e-4)
