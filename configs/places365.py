"""A network of the model zoo on Places365, with the block norm, weight decay or all three terms of CGL.

Reproduces: the Places365 rows of TUKL's Tab. 1 and of Tab. 2 of CGL (Varshneya et al., IJCAI 2021), for alexnet,
alexnet_b and vgg16. Learning rates and weight decays are each network's published ones (configs/common.py); the
strength of gbn is AlexNet's for all, those of cgl are ours. With model=alexnet it is configs/places365_gbn.py, _wd.py
and _cgl.py.

Argument: model=alexnet, alexnet_b, vgg16, resnet18, resnet50 or densenet121; regularizer=gbn (block norm), wd (weight
        decay) or cgl (block norm and the two losses on activations). Either may be left out: alexnet, gbn.
Needs:  places365_small as TFDS array_record (--config.data.directory=DIR, by default ~/tensorflow_datasets) and the
        unpacked broden1_224 of Network Dissection; docs/data.md has the commands for both.
Run:    python launch.py --config=configs/places365.py:model=resnet18,regularizer=gbn --workdir=...
        --config.dissection.broden=DIR
Cost:   90 epochs of 1.8 M images, on GPUs; hours not measured.
Expect: interpretability score (seed, Tab. 1; CGL, Tab. 2) alexnet wd 130, gbn 187 or 173, cgl 185; alexnet_b wd 148,
        gbn 166 or 157, cgl 166; vgg16, five layers of it, wd 315, cgl 332. Top-1 51 %, 51 %, 55 %. Published single
        runs, baselines downloaded; not reproduced here. Of the other networks nothing is published.
"""

from ml_collections import ConfigDict

from interpjax.configs import common


def get_config(argument: str = "") -> ConfigDict:
    """The experiment."""
    return common.zoo(common.places365(), argument)
