r"""A half-width AlexNet on your own images, dissected with any directory in Broden's layout; the general block norm (p = 2, q = 1, 5 groups) in place of weight decay.

Run:    python launch.py --config=configs/image_folder_gbn.py --workdir=... \\
          --config.data.train=DIR --config.data.test=DIR --config.dissection.broden=DIR
        DIR of data.train and data.test: a folder of images for each class, in PNG, JPEG, …
Cost:   @COST_image_folder_gbn@
Expect: @EXPECT_image_folder_gbn@
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config() -> ConfigDict:
    """The experiment."""
    return common.with_block_norm(common.image_folder(), strength=5e-3)
