r"""A half-width AlexNet on your own images, dissected with any directory in Broden's layout; weight decay, the baseline.

Run:    python launch.py --config=configs/image_folder_wd.py --workdir=... \\
          --config.data.train=DIR --config.data.test=DIR --config.dissection.broden=DIR
        DIR of data.train and data.test: a folder of images for each class, in PNG, JPEG, …
Cost:   @COST_image_folder_wd@
Expect: @EXPECT_image_folder_wd@
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_weight_decay(common.image_folder(), strength=1e-4)
