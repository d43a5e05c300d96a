"""Six classes of scenes over seeds: three networks with weight decay, block norm and all three terms of CGL.

Needs:  class folders of images and a directory in Broden's layout, by --config.data.train=DIR --config.data.test=DIR
        --config.dissection.broden=DIR; to fine-tune also the weights, by --config.model.weights=FILE.
Run:    interpjax table table_small:search --workdir=DIR --jobs=2 and the folders above; table_small:finetuned_search
        for what is fine-tuned from squeezenet_places365. So far these are searches, by docs/protocol.md; the tables
        follow their results.
Cost:   36 and 12 runs; not measured yet.
Expect: nothing is published for these images.
"""

from ml_collections import ConfigDict

import interpjax
from interpjax.config import override
from interpjax.configs import common
from interpjax.errors import UserError
from interpjax.tables import Row, Table

NETWORKS = {"alexnet": 0.5, "alexnet_b": 0.5, "resnet18": 0.25}  # and their width
RATES = (3e-4, 1e-3)  # of Adam
FINETUNED_RATES = (1e-4, 3e-4)
STRENGTHS = {"wd": (1e-4, 1e-3), "gbn": (1e-3, 5e-3), "cgl": (1e-3, 5e-3)}  # by regularizer
OF_ACTIVATIONS = 1e-2  # the strength of both losses on activations


def get_table(argument: str = "") -> Table:
    """The search of an argument, ``search`` or ``finetuned_search``."""
    if argument == "search":
        bases = {common.NETWORKS[name]: _scratch(name, width) for name, width in NETWORKS.items()}
        return _search("Six classes of scenes: what was searched", bases, RATES)
    if argument == "finetuned_search":
        bases = {"SqueezeNet of Places365": _finetuned()}
        return _search("Six classes of scenes, fine-tuned: what was searched", bases, FINETUNED_RATES)
    raise UserError(
        f"argument {argument!r} of table_small: expected search or finetuned_search; the tables follow their results"
    )


def _search(title: str, bases: dict[str, ConfigDict], rates: tuple[float, ...]) -> Table:
    rows = [
        Row(
            f"{network}, {common.REGULARIZERS[kind]}",
            f"{strength:g}, rate {rate:g}",
            _candidate(base, kind, strength, rate),
        )
        for network, base in bases.items()
        for kind, strengths in STRENGTHS.items()
        for rate in rates
        for strength in strengths
    ]
    return Table(
        title=title,
        rows=tuple(rows),
        seeds=(100,),
        columns=("validation_accuracy", "interpretability_score", "zero_groups"),
        stages=("train", "evaluate", "dissect"),
        notes=common.OF_SEARCH,
        search=True,
    )


def _candidate(base: ConfigDict, kind: str, strength: float, rate: float) -> ConfigDict:
    config = override(base, common.SEARCHED | {"optimizer.learning_rate": rate})
    if kind == "wd":
        return common.with_weight_decay(config, strength)
    if kind == "gbn":
        return common.with_block_norm(config, strength)
    return common.with_cgl(config, strength, OF_ACTIVATIONS, OF_ACTIVATIONS)


def _scratch(name: str, width: float) -> ConfigDict:
    fields = {"model.name": name, "model.width": width, "training.num_epochs": 12.0}
    return override(common.image_folder(), fields | {"dissection.layers": common.DISSECTED.get(name, ())})


def _finetuned() -> ConfigDict:
    """From published weights, on smaller images than they were trained on, so that a run takes minutes."""
    images = interpjax.get_config("imported:squeezenet_places365").data
    fields = {f"data.{name}": images[name] for name in ("channels", "mean", "std")}
    fields |= {"model.name": "squeezenet_places365", "model.width": 1.0, "training.num_epochs": 4.0}
    return override(common.image_folder(), fields | {"dissection.layers": ("fire5", "fire9")})
