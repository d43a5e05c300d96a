"""A network of the model zoo on ImageNet-1k, with the block norm, weight decay or all three terms of CGL.

Reproduces: the ImageNet rows of CGL (Varshneya et al., IJCAI 2021), for alexnet and vgg16. Recipes and strengths as in
configs/places365.py.

Argument: model=alexnet, alexnet_b, vgg16, resnet18, resnet50 or densenet121; regularizer=gbn (block norm), wd (weight
        decay) or cgl (block norm and the two losses on activations). Either may be left out: alexnet, gbn.
Needs:  imagenet2012 as TFDS array_record (--config.data.directory=DIR, by default ~/tensorflow_datasets), which
        `interpjax get imagenet` makes of the class folders or archives one has, and the unpacked broden1_224 of Network
        Dissection; docs/data.md has the commands for both.
Run:    python launch.py --config=configs/imagenet.py:model=resnet18,regularizer=gbn --workdir=...
        --config.dissection.broden=DIR
Cost:   90 epochs of 1.28 M images, on GPUs; hours not measured.
Expect: interpretability score alexnet wd 136, gbn 137, cgl 141; vgg16, five layers of it, wd 259, cgl 266. Top-1
        alexnet wd 56.30 %, cgl 55.09 %; vgg16 wd 71.79 %, cgl 70.55 % (CGL). Published single runs, baselines
        downloaded; not reproduced here. Of the other networks nothing is published.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config(argument: str = "") -> ConfigDict:
    """The experiment."""
    return common.zoo(common.imagenet(), argument)
