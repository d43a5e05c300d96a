"""Which entry of a published PyTorch ``state_dict`` each parameter is, by the network's own names."""

import re
from collections.abc import Mapping

from interpjax.models.alexnet import AlexNet
from interpjax.models.classifier import Classifier
from interpjax.models.densenet import DenseNet
from interpjax.models.googlenet import GoogLeNet
from interpjax.models.vgg import STAGES as VGG_STAGES
from interpjax.models.vgg import VGG

# Of what torchvision numbers: convolutions and dense layers.
ALEXNET = {f"conv{i}": f"features.{place}" for i, place in enumerate((0, 3, 6, 8, 10), start=1)} | {
    f"fc{i}": f"classifier.{place}" for i, place in enumerate((1, 4, 6), start=1)
}
# Of the CGL code's AlexNet_bn, which numbers convolutions, batch norms and dense layers.
ALEXNET_BN = (
    {f"features.{place}": f"conv{i}" for i, place in enumerate((0, 4, 8, 11, 14), start=1)}
    | {f"features.{place}": f"bn{i}" for i, place in enumerate((1, 5, 9, 12, 15), start=1)}
    | {f"classifier.{place}": f"fc{i}" for i, place in enumerate((1, 4, 6), start=1)}
)
COUNTER = ".num_batches_tracked"
AUXILIARY = re.compile(r"aux[12]\..*")  # heads that only train
WRAPPED = re.compile(r"(^|\.)module\.")  # by DataParallel, the whole network or its features alone
OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)$")


def torch_name(model: Classifier, layer: str) -> str:
    """The module of torchvision's definition, or of the published one, that a layer of a network is."""
    if isinstance(model, VGG):
        return _vgg_names(model.with_norm)[layer]
    if isinstance(model, AlexNet) and not model.with_norm:
        return ALEXNET[layer]
    if isinstance(model, DenseNet) and layer != "classifier":
        return f"features.{layer}"
    return layer


def plain_names(model: Classifier, entries: Mapping[str, object]) -> dict[str, str]:
    """Current torchvision's name of each entry that matters → its name in these entries.

    Takes away what wraps and old versions put into names: ``module.`` of a network (or its features alone) trained on
    several devices, ``denselayer1.norm.1`` for ``denselayer1.norm1``, and the other names of AlexNet in the CGL code.

    Raises:
      ValueError: if two entries are of one name.
    """
    own = _other_names(model)
    plain: dict[str, str] = {}
    for entry in entries:
        name = WRAPPED.sub(r"\1", entry)
        name = OLD_DENSENET.sub(r"\1\2", name) if isinstance(model, DenseNet) else name
        layer, _, leaf = name.rpartition(".")
        name = f"{own[layer]}.{leaf}" if layer in own else name
        if name.endswith(COUNTER) or (isinstance(model, GoogLeNet) and AUXILIARY.fullmatch(name)):
            continue
        if name in plain:
            raise ValueError(f"{plain[name]} and {entry} are both {name}")
        plain[name] = entry
    return plain


def _other_names(model: Classifier) -> dict[str, str]:
    """Other published names of layers → that of :func:`torch_name`."""
    if not isinstance(model, AlexNet):
        return {}
    return ALEXNET_BN if model.with_norm else ALEXNET


def _vgg_names(with_norm: bool) -> dict[str, str]:
    names, place = {}, 0
    for stage, (_, convolutions) in enumerate(VGG_STAGES, start=1):
        for number in range(1, convolutions + 1):
            names[f"conv{stage}_{number}"] = f"features.{place}"
            if with_norm:
                names[f"bn{stage}_{number}"] = f"features.{place + 1}"
            place += 3 if with_norm else 2
        place += 1  # pooling
    return names | {f"fc{i}": f"classifier.{place}" for i, place in enumerate((0, 3, 6), start=1)}
