"""A network that was trained elsewhere, dissected as it is: ``configs/imported.py:MODEL``.

Needs:  a file of its published weights and a directory in Broden's layout; for squeezenet_places365 also its mean image
        (--config.data.mean_image=FILE; without it the mean of that image is taken).
Run:    python launch.py --config=configs/imported.py:resnet18 --workdir=... --stages=dissect,report
        --config.model.weights=FILE --config.dissection.broden=DIR --config.dissection.layers='("layer4",)'
Cost:   two minutes on 2 cores for two layers of squeezenet_places365 and 1,917 images, other jobs beside it.
Expect: from these 20 unique detectors in fire5 and 27 in fire9, of 82 concepts. Nothing published for the same images.
"""

from ml_collections import ConfigDict

from interpjax.config import default_config


def get_config(model: str = "resnet18") -> ConfigDict:
    """The experiment; images are as the model's published weights want them.

    Those of torchvision, of squeezenet_places365, and of Caffe's two on ImageNet (their Places versions subtract a mean
    image of their own: ``config.data.mean_image``).
    """
    config = default_config()
    config.data.source = "image_folder"  # for the stage evaluate alone
    config.data.image_size, config.data.resize_size = 224, 256
    config.model.name = model
    if model == "squeezenet_places365":
        config.data.channels = "BGR"
        config.data.mean, config.data.std = (0.408, 0.4412, 0.4576), (1.0, 1.0, 1.0)
    elif model in ("alexnet_caffe", "caffenet"):  # 0..255, minus the mean of ImageNet
        config.data.channels, config.data.image_size = "BGR", 227
        config.data.mean, config.data.std = (0.4079, 0.4575, 0.4811), (1 / 255, 1 / 255, 1 / 255)
    elif model == "googlenet":  # torchvision trained it in TensorFlow, on images in -1..1
        config.data.mean, config.data.std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    return config
