"""What the experiments share: the regularizers that are compared, and the recipes of data sets and networks."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from ml_collections import ConfigDict

from interpjax.config import default_config
from interpjax.config.files import parse_argument
from interpjax.errors import UserError

Table = TypeVar("Table")

# Learning rate and weight decay of the baseline, by network.
RECIPES = {
    # Varshneya et al. 2021 (CGL); the rate is also Krizhevsky's of 2012.
    "alexnet": (0.01, 1e-4),
    # CGL gives one recipe for both.
    "alexnet_b": (0.01, 1e-4),
    # Simonyan and Zisserman 2015, Sec. 3.1. They divided the rate when the accuracy stopped improving.
    "vgg16": (0.01, 5e-4),
    # He et al. 2016, Sec. 3.4: batch 256, momentum 0.9. They divided the rate when the error stopped falling.
    "resnet18": (0.1, 1e-4),
    "resnet50": (0.1, 1e-4),
    # Huang et al. 2017, Sec. 4.2: batch 256, 90 epochs, the rate divided by 10 after 30 and 60.
    "densenet121": (0.1, 1e-4),
}
# Which layers are dissected where not every convolution is. VGG16's are the five that CGL (Tab. 3) reports; of ResNet
# and DenseNet nothing is published: theirs are the ends of the stages, the last of DenseNet behind its last rectifier.
DISSECTED = {
    "vgg16": ("conv3_3", "conv4_3", "conv5_1", "conv5_2", "conv5_3"),
    "resnet18": ("layer1", "layer2", "layer3", "layer4"),
    "resnet50": ("layer1", "layer2", "layer3", "layer4"),
    "densenet121": ("denseblock1", "denseblock2", "denseblock3", "norm5"),
}
# Two disjoint sets of fifty classes of Places365, in place of the published Places50₁ and Places50₂, whose classes are
# not known. Of numpy.random.Generator(numpy.random.PCG64(50)).permutation(365) the first 50 numbers are the first set,
# the next 50 the second, each sorted; they are written down because numpy may change what it draws. Numbers are labels
# of Places365 from 0 (categories_places365.txt), as TFDS has them.
PLACES50_1 = (
    2, 3, 10, 17, 31, 56, 90, 95, 106, 107,
    110, 114, 115, 120, 131, 139, 144, 145, 150, 156,
    167, 176, 179, 182, 185, 186, 188, 205, 206, 210,
    215, 218, 221, 224, 225, 226, 227, 234, 239, 249,
    271, 290, 298, 299, 309, 315, 323, 335, 343, 347,
)  # fmt: skip
PLACES50_2 = (
    0, 5, 9, 22, 26, 52, 60, 61, 65, 98,
    105, 113, 126, 128, 129, 155, 164, 166, 168, 175,
    183, 187, 193, 196, 212, 214, 222, 229, 246, 256,
    267, 279, 285, 286, 288, 291, 308, 317, 318, 320,
    324, 330, 338, 339, 340, 341, 344, 345, 350, 358,
)  # fmt: skip
# What people call them, in tables.
REGULARIZERS = {"wd": "weight decay", "gbn": "block norm", "cgl": "all three"}
NETWORKS = {
    "alexnet": "AlexNet",
    "alexnet_b": "AlexNet-B",
    "vgg16": "VGG16",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "densenet121": "DenseNet-121",
}
# Of the project's own tables (docs/protocol.md): a tenth of the training images is held out in all, so that all train
# on as many; strengths are chosen on one half of the labelled images, and scores reported of the other.
SEARCHED = {"data.validation": 0.1, "dissection.half": "validation", "dissection.intervals": False}
TESTED = SEARCHED | {"dissection.half": "test"}
OF_SEARCH = "Scores are of the validation half of the labelled images."
OF_TEST = "Scores are of the test half of the labelled images."
ZOO = {"model": tuple(RECIPES), "regularizer": ("gbn", "wd", "cgl")}  # what a zoo's argument may say


def table_of(tables: Mapping[str, Callable[[], Table]], argument: str, file: str) -> Table:
    """The table of a file that has several by their argument, of which one is without.

    Raises:
      UserError: naming the arguments that there are, if there is no such table.
    """
    if argument not in tables:
        expected = ", ".join(name for name in tables if name)
        raise UserError(f"argument {argument!r} of {file}: expected none, or one of {expected}")
    return tables[argument]()


def with_block_norm(config: ConfigDict, strength: float) -> ConfigDict:
    """The general block norm (p = 2, q = 1, 5 groups) on the convolution kernels, in place of weight decay."""
    config.regularizer.block_norm.strength = strength
    config.regularizer.weight_decay.strength = 0.0
    return config


def with_weight_decay(config: ConfigDict, strength: float) -> ConfigDict:
    """The baseline: weight decay on every parameter."""
    config.regularizer.block_norm.strength = 0.0
    config.regularizer.weight_decay.strength = strength
    return config


def with_cgl(config: ConfigDict, block_norm: float, group_activation: float, spatial: float) -> ConfigDict:
    """All three terms of CGL: the block norm, in place of weight decay, and the two losses on activations."""
    config = with_block_norm(config, block_norm)
    config.regularizer.group_activation.strength = group_activation
    config.regularizer.spatial.strength = spatial
    return config


def with_proximal_steps(config: ConfigDict, strength: float, learning_rate: float) -> ConfigDict:
    """The block norm by proximal steps of SGD: groups become exactly zero.

    Momentum makes the gradient's steps ten times as long, but not the proximal ones: the strength is that of a ten
    times weaker block norm in the loss.
    """
    config = with_block_norm(config, strength)
    config.regularizer.block_norm.proximal = True
    config.optimizer.name, config.optimizer.momentum = "sgd", 0.9
    config.optimizer.learning_rate = learning_rate
    return config


def two_figures() -> ConfigDict:
    """The two-layer CNN on the two-figures data, at a quarter of the published width."""
    config = default_config()
    config.data.source = "two_figures"
    config.data.image_size = config.data.resize_size = config.data.two_figures.image_size
    config.data.augment = "none"
    config.data.mean, config.data.std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    config.model.name = "two_figures_cnn"
    config.model.width = 0.25
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 3e-3
    config.optimizer.schedule = "cosine"
    config.training.batch_size = 64
    config.training.num_epochs = 4.0
    config.training.log_every_steps = 32
    config.training.eval_every_steps = 128
    config.training.checkpoint_every_steps = 128
    config.dissection.top_images = 6
    return config


def image_folder() -> ConfigDict:
    """A small AlexNet on a folder of class folders; the data are given by flags."""
    config = default_config()
    config.data.source = "image_folder"
    config.data.image_size = 112
    config.data.resize_size = 128
    config.model.name = "alexnet"
    config.model.width = 0.5
    # Without batch norm and from PyTorch's initialization, SGD needs several times as many epochs here.
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 5e-4
    config.optimizer.schedule = "cosine"
    config.training.batch_size = 64
    config.training.num_epochs = 18.0
    config.training.eval_every_steps = 250
    config.training.checkpoint_every_steps = 250
    return config


def zoo(config: ConfigDict, argument: str) -> ConfigDict:
    """A network with its recipe and a regularizer, on the data of a configuration.

    The block norm's strength is the published one of AlexNet on Places365, for all; those of the losses on
    activations are not given in the paper and are ours. None is tuned.

    Args:
      config: of :func:`places365` or another with its schedule.
      argument: as ``"model=resnet18,regularizer=gbn"``; what it does not say is AlexNet, and the block norm.

    Raises:
      ValueError: naming a key or value that is not in :data:`ZOO`.
    """
    chosen = parse_argument(argument, ZOO)
    config.model.name = chosen["model"]
    config.optimizer.learning_rate, weight_decay = RECIPES[chosen["model"]]
    config.dissection.layers = DISSECTED.get(chosen["model"], ())
    if chosen["regularizer"] == "wd":
        return with_weight_decay(config, weight_decay)
    if chosen["regularizer"] == "cgl":
        return with_cgl(config, block_norm=5e-3, group_activation=1e-2, spatial=1e-2)
    return with_block_norm(config, strength=5e-3)


def places365() -> ConfigDict:
    """The published recipe: AlexNet, 90 epochs, learning rate 0.01 divided by 10 every 30, batch 256."""
    config = _large_images("places365_small")
    config.training.eval_every_steps = 7050  # about once an epoch
    config.training.checkpoint_every_steps = 7050
    return config


def places50(classes: tuple[int, ...]) -> ConfigDict:
    """The same on fifty classes of Places365: about 250,000 images."""
    config = places365()
    config.data.classes = classes
    config.training.eval_every_steps = 950  # about once an epoch
    config.training.checkpoint_every_steps = 950
    return config


def imagenet() -> ConfigDict:
    """The same on ImageNet-1k."""
    config = _large_images("imagenet2012")
    config.training.eval_every_steps = 5000  # about once an epoch
    config.training.checkpoint_every_steps = 5000
    return config


def _large_images(tfds_name: str) -> ConfigDict:
    config = default_config()
    config.data.source = "tfds"
    config.data.tfds_name = tfds_name
    config.data.train, config.data.test = "train", "validation"
    config.model.name = "alexnet"
    config.optimizer.name, config.optimizer.momentum = "sgd", 0.9
    config.optimizer.learning_rate = 0.01
    config.optimizer.schedule, config.optimizer.decay_every_epochs = "step", 30.0
    config.training.batch_size, config.training.num_epochs = 256, 90.0
    return config
