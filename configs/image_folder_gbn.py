"""A half-width AlexNet on your own images, with the general block norm in place of weight decay.

Needs:  a folder of class folders of images for training and one for testing, and a directory in Broden's layout.
Run:    python launch.py --config=configs/image_folder_gbn.py --workdir=... --config.data.train=DIR
        --config.data.test=DIR --config.dissection.broden=DIR
Cost:   20 minutes on 2 cores for 5,400 images of 128² and 1,917 to dissect with, other jobs beside it.
Expect: 82.11 % accuracy on 900 images of six scene classes, interpretability score 46
        (docs/results_earlier.md); weight decay 52.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_block_norm(common.image_folder(), strength=5e-3)
