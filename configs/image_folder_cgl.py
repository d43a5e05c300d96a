"""A half-width AlexNet on your own images, with all three terms of CGL in place of weight decay.

Needs:  a folder of class folders of images for training and one for testing, and a directory in Broden's layout.
Run:    python launch.py --config=configs/image_folder_cgl.py --workdir=... --config.data.train=DIR
        --config.data.test=DIR --config.dissection.broden=DIR
Cost:   18 minutes on 2 cores for 5,400 images of 128² and 1,917 to dissect with, other jobs beside it.
Expect: 82.56 % accuracy on 900 images of six scene classes, interpretability score 52
        (docs/results_earlier.md), as with weight decay; the strengths of the losses on activations are ours and
        not tuned.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_cgl(common.image_folder(), block_norm=5e-3, group_activation=1e-2, spatial=1e-2)
