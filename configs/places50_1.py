"""A network of the model zoo on fifty classes of Places365: our stand-in for Places50₁.

Reproduces: the Places50₁ row of TUKL's Tab. 1, whose classes were never published: these are drawn by the rule in
configs/common.py, and none is in the other set. Recipes and strengths as in configs/places365.py.

Argument: model=alexnet, alexnet_b, vgg16, resnet18, resnet50 or densenet121; regularizer=gbn (block norm), wd (weight
        decay) or cgl (block norm and the two losses on activations). Either may be left out: alexnet, gbn.
Needs:  places365_small as TFDS array_record (--config.data.directory=DIR, by default ~/tensorflow_datasets) and the
        unpacked broden1_224 of Network Dissection; docs/data.md has the commands for both. The labels of
        all records are read once and kept in WORKDIR/data.
Run:    python launch.py --config=configs/places50_1.py:model=resnet18,regularizer=gbn --workdir=...
        --config.dissection.broden=DIR
Cost:   90 epochs of about 250,000 images, on GPUs; hours not measured.
Expect: interpretability score alexnet wd 119, gbn 142; alexnet_b wd 105, gbn 115 (seed, Tab. 1). Published single
        runs on other classes; not reproduced here. Of the other networks nothing is published.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config(argument: str = "") -> ConfigDict:
    """The experiment."""
    return common.zoo(common.places50(common.PLACES50_1), argument)
