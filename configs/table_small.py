"""Six classes of scenes: weight decay, block norm and all three terms of CGL, from random and from published weights.

Needs:  class folders of images and a directory in Broden's layout, by --config.data.train=DIR --config.data.test=DIR
        --config.dissection.broden=DIR; to fine-tune also the weights, by --config.model.weights=FILE.
Run:    interpjax table table_small:search --workdir=DIR --jobs=2 and the folders above; table_small:finetuned_search
        for what is fine-tuned from squeezenet_places365. So far these are searches, by docs/protocol.md; the tables
        follow their results.
Cost:   12 runs each; not measured yet.
Expect: nothing is published for these images.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

from ml_collections import ConfigDict

import interpjax
from interpjax.config import override
from interpjax.configs import common
from interpjax.errors import UserError
from interpjax.tables import Row, Table

RATES = (3e-4, 1e-3)  # of Adam
STRENGTHS = {"wd": (1e-4, 1e-3), "gbn": (1e-3, 5e-3), "cgl": (1e-3, 5e-3)}  # by regularizer
# The published weights are ten to thirty times as large as random ones, so the steps are longer and weight decay weaker.
# Both of weight decay have at the start about the gradient of both of the block norm.
FINETUNED_RATES = (3e-3, 1e-2)
FINETUNED_STRENGTHS = {"wd": (1e-5, 1e-4), "gbn": (1e-3, 1e-2), "cgl": (1e-3, 1e-2)}
OF_ACTIVATIONS = 1e-2  # the strength of both losses on activations
ALEXNET, SQUEEZENET = "AlexNet", "SqueezeNet of Places365"
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
FINETUNED_LAYERS = ("fire5", "fire9")
Candidates = dict[str, dict[str, ConfigDict]]  # by regularizer and name


def get_table(argument: str = "") -> Table:
    """One of :data:`TABLES`."""
    if argument not in TABLES:
        raise UserError(
            f"argument {argument!r} of table_small: expected {' or '.join(TABLES)}; the tables follow their results"
        )
    return TABLES[argument]()


def _search() -> Table:
    title = "Six classes of scenes, AlexNet: what was searched"
    return _searched(title, ALEXNET, _candidates(_scratch(), RATES, STRENGTHS), LAYERS)


def _finetuned_search() -> Table:
    title = "Six classes of scenes, fine-tuned: what was searched"
    candidates = _candidates(_from_weights(), FINETUNED_RATES, FINETUNED_STRENGTHS)
    return _searched(title, SQUEEZENET, candidates, FINETUNED_LAYERS)


TABLES: dict[str, Callable[[], Table]] = {
    "search": _search,
    "finetuned_search": _finetuned_search,
}


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


def _scratch() -> ConfigDict:
    return override(common.image_folder(), {"training.num_epochs": 8.0})


def _from_weights() -> ConfigDict:
    """From published weights, on smaller images than they were trained on, so that a run takes minutes."""
    images = interpjax.get_config("imported:squeezenet_places365").data
    fields = {f"data.{name}": images[name] for name in ("channels", "mean", "std")}
    fields |= {"model.name": "squeezenet_places365", "model.width": 1.0, "training.num_epochs": 2.0}
    return override(common.image_folder(), fields | {"dissection.layers": FINETUNED_LAYERS})
