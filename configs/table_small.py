"""Six classes of scenes: weight decay, block norm and all three terms of CGL, from random and from published weights.

Needs:  class folders of images and a directory in Broden's layout, by --config.data.train=DIR --config.data.test=DIR
        --config.dissection.broden=DIR; to fine-tune also the weights, by --config.model.weights=FILE.
Run:    interpjax table table_small --workdir=DIR --jobs=2 and the folders above, for networks from random weights;
        table_small:finetuned for what is fine-tuned from squeezenet_places365; :search and :finetuned_search for what
        there is to choose from. By the protocol of docs/protocol.md.
Cost:   66 and 42 runs, and 12 of each search, two at once, which took 4 to 7 minutes each on 2 cores of an AMD EPYC.
Expect: nothing is published for these images.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

from ml_collections import ConfigDict

import interpjax
from interpjax.config import override
from interpjax.configs import common
from interpjax.tables import Row, Table

RATES = (3e-4, 1e-3)  # of Adam
STRENGTHS = {"wd": (1e-4, 1e-3), "gbn": (1e-3, 5e-3), "cgl": (1e-3, 5e-3)}  # by regularizer
# The published kernels are many times as large as random ones: steps are longer, and weight decay is weaker, for its
# gradient grows with them, and that of the block norm does not.
FINETUNED_RATES = (3e-3, 1e-2)
FINETUNED_STRENGTHS = {"wd": (1e-5, 1e-4), "gbn": (1e-3, 1e-2), "cgl": (1e-3, 1e-2)}
FINETUNED_CONTROLS = {"wd": (0.0, 1e-4, 1e-3), "gbn": (1e-3,)}
OF_ACTIVATIONS = 1e-2  # the strength of both losses on activations
CONTROLS = {"wd": (1e-3,), "gbn": (5e-3,)}  # of AlexNet, beside what was chosen, at the rate that was
WIDTHS = {"alexnet": 0.5, "alexnet_b": 0.5, "resnet18": 0.25}  # of the networks from random weights
SQUEEZENET = "SqueezeNet of Places365"
# What the searches have chosen, by the rule of docs/protocol.md; results/small_search and small_finetuned_search have
# it. AlexNet-B and ResNet-18 take what was chosen for AlexNet.
CHOSEN = {
    "AlexNet, weight decay": "0.0001, rate 0.0003",
    "AlexNet, block norm": "0.001, rate 0.0003",
    "AlexNet, all three": "0.005, rate 0.0003",
    f"{SQUEEZENET}, weight decay": "1e-05, rate 0.003",
    f"{SQUEEZENET}, block norm": "0.01, rate 0.003",
    f"{SQUEEZENET}, all three": "0.001, rate 0.003",
}
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
FINETUNED_LAYERS = ("fire5", "fire9")
SCORES = ("calibrated", "by_chance", "untrained", "rud")
Candidates = dict[str, dict[str, ConfigDict]]  # by regularizer and name


def get_table(argument: str = "") -> Table:
    """One of :data:`TABLES`."""
    return common.table_of(TABLES, argument, "table_small")


def _networks() -> Table:
    """Three networks from random weights, with what was chosen for AlexNet, and of AlexNet other strengths."""
    rows: list[Row] = []
    for name, width in WIDTHS.items():
        network, base = common.NETWORKS[name], _scratch(name, width)
        rows += _chosen(network, "AlexNet", _candidates(base, RATES, STRENGTHS))
        if name == "alexnet":
            rows += _controls(network, base, RATES[0], CONTROLS)
    return _table("Six classes of scenes", rows, (*LAYERS, *common.DISSECTED["resnet18"]))


def _finetuned() -> Table:
    """The regularizers, with what was chosen for each, and other strengths of two."""
    rows = _chosen(SQUEEZENET, SQUEEZENET, _candidates(_from_weights(), FINETUNED_RATES, FINETUNED_STRENGTHS))
    rows += _controls(SQUEEZENET, _from_weights(), FINETUNED_RATES[0], FINETUNED_CONTROLS)
    layers = (*FINETUNED_LAYERS, *(f"calibrated/{layer}" for layer in FINETUNED_LAYERS))
    return _table("Six classes of scenes, fine-tuned", rows, layers)


def _search() -> Table:
    candidates = _candidates(_scratch("alexnet", WIDTHS["alexnet"]), RATES, STRENGTHS)
    return _searched("Six classes of scenes, AlexNet: what was searched", "AlexNet", candidates, LAYERS)


def _finetuned_search() -> Table:
    candidates = _candidates(_from_weights(), FINETUNED_RATES, FINETUNED_STRENGTHS)
    return _searched("Six classes of scenes, fine-tuned: what was searched", SQUEEZENET, candidates, FINETUNED_LAYERS)


TABLES: dict[str, Callable[[], Table]] = {
    "": _networks,
    "finetuned": _finetuned,
    "search": _search,
    "finetuned_search": _finetuned_search,
}


def _table(title: str, rows: Sequence[Row], layers: Sequence[str]) -> Table:
    return Table(
        title,
        tuple(rows),
        seeds=tuple(range(6)),
        columns=("accuracy", "interpretability_score", *layers, *SCORES),
        stages=("train", "evaluate", "dissect", "chance"),
        notes=common.OF_TEST,
    )


def _chosen(network: str, searched: str, candidates: Candidates) -> list[Row]:
    """A row for each regularizer, by the candidate that the search of a network has chosen."""
    return [
        Row(network, common.REGULARIZERS[kind], override(found[CHOSEN[_section(searched, kind)]], common.TESTED))
        for kind, found in candidates.items()
    ]


def _controls(section: str, base: ConfigDict, rate: float, strengths: Mapping[str, Sequence[float]]) -> list[Row]:
    """A row for each of some strengths, at one learning rate."""
    return [
        Row(section, f"{common.REGULARIZERS[kind]}, {strength:g}", override(config, common.TESTED))
        for kind, found in _candidates(base, (rate,), strengths).items()
        for strength, config in zip(strengths[kind], found.values(), strict=True)
    ]


def _searched(title: str, network: str, candidates: Candidates, layers: tuple[str, ...]) -> Table:
    rows = [
        Row(_section(network, kind), name, override(config, common.SEARCHED))
        for kind, found in candidates.items()
        for name, config in found.items()
    ]
    return Table(
        title=title,
        rows=tuple(rows),
        seeds=(100,),
        columns=("validation_accuracy", "interpretability_score", *layers),
        stages=("train", "evaluate", "dissect"),
        notes=common.OF_SEARCH,
        search=True,
    )


def _candidates(base: ConfigDict, rates: Sequence[float], strengths: Mapping[str, Sequence[float]]) -> Candidates:
    """By regularizer and name, what there is to choose from."""
    found: Candidates = {kind: {} for kind in strengths}
    for kind, rate in itertools.product(strengths, rates):
        for strength in strengths[kind]:
            config = override(base, {"optimizer.learning_rate": rate})
            if kind == "wd":
                config = common.with_weight_decay(config, strength)
            elif kind == "gbn":
                config = common.with_block_norm(config, strength)
            else:
                config = common.with_cgl(config, strength, OF_ACTIVATIONS, OF_ACTIVATIONS)
            found[kind][f"{strength:g}, rate {rate:g}"] = config
    return found


def _section(network: str, kind: str) -> str:
    return f"{network}, {common.REGULARIZERS[kind]}"


def _scratch(name: str, width: float) -> ConfigDict:
    fields = {"model.name": name, "model.width": width, "training.num_epochs": 8.0}
    return override(common.image_folder(), fields | {"dissection.layers": common.DISSECTED.get(name, ())})


def _from_weights() -> ConfigDict:
    """From published weights, on smaller images than they were trained on, so that a run takes minutes."""
    images = interpjax.get_config("imported:squeezenet_places365").data
    fields = {f"data.{name}": images[name] for name in ("channels", "mean", "std")}
    fields |= {"model.name": "squeezenet_places365", "model.width": 1.0, "training.num_epochs": 2.0}
    return override(common.image_folder(), fields | {"dissection.layers": FINETUNED_LAYERS})
