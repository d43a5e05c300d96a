"""What the experiments share: the two regularizers that every comparison is between, and recipes of data sets."""

from ml_collections import ConfigDict

from interpjax.config import default_config


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


def places365() -> ConfigDict:
    """The published recipe: AlexNet, 90 epochs, learning rate 0.01 divided by 10 every 30, batch 256."""
    config = default_config()
    config.data.source = "tfds"
    config.data.tfds_name = "places365_small"
    config.data.train, config.data.test = "train", "validation"
    config.model.name = "alexnet"
    config.optimizer.name, config.optimizer.momentum = "sgd", 0.9
    config.optimizer.learning_rate = 0.01
    config.optimizer.schedule, config.optimizer.decay_every_epochs = "step", 30.0
    config.training.batch_size, config.training.num_epochs = 256, 90.0
    config.training.eval_every_steps = 7050  # about once an epoch
    config.training.checkpoint_every_steps = 7050
    return config
