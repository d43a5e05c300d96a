"""Checks the fields of a configuration, each by itself and against each other."""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from interpjax.config.kinds import check_kinds
from interpjax.config.schema import TERMS
from interpjax.config.values import get_field
from interpjax.errors import Problems, UserError
from interpjax.imports import is_import_path

CHOICES = {
    "model.dtype": ("float32", "bfloat16"),
    "data.source": ("two_figures", "image_folder", "tfds"),
    "data.augment": ("none", "flip", "random_resized_crop"),
    "data.on_bad_image": ("error", "skip"),
    "data.channels": ("RGB", "BGR"),
    "data.two_figures.task": ("multiclass", "binary"),
    "regularizer.grouping.order": ("contiguous", "strided"),
    "regularizer.grouping.remainder": ("free", "last", "error"),
    "regularizer.block_norm.axis": ("filters", "inputs"),
    "regularizer.block_norm.form": ("norm", "power", "half_squared"),
    "regularizer.block_norm.weights": ("none", "sqrt_size"),
    "regularizer.soft_receptive_field.statistics": ("minibatch", "batch_norm"),
    "regularizer.group_activation.form": ("code", "paper"),
    "regularizer.group_repulsion.form": ("code", "paper"),
    "dissection.half": ("all", "validation", "test"),
    "training.on_nonfinite": ("error", "rollback"),
    "optimizer.name": ("sgd", "adam", "adamw"),
    "optimizer.schedule": ("constant", "step", "cosine"),
}
LONGEST_PROJECT = 128  # characters of a name, and without those signs: as wandb takes it
CHANCE_KINDS = ("labels", "rotation", "untrained")
PICTURES = ("filters", "causes", "maximized_units", "maximized_groups", "class_models", "saliency", "grad_cam")
IMPORTABLE = ("data.source", "optimizer.name")  # these may also be the import path of the user's own
POSITIVE = (
    "data.image_size",
    "data.resize_size",
    "data.max_pixels",
    "data.num_threads",
    "data.two_figures.train_images",
    "data.two_figures.test_images",
    "model.width",
    "regularizer.grouping.num_groups",
    "optimizer.learning_rate",
    "optimizer.decay_every_epochs",
    "optimizer.decay_factor",
    "training.accumulate_steps",
    "training.batch_size",
    "training.log_every_steps",
    "training.eval_every_steps",
    "training.checkpoint_every_steps",
    "training.keep_checkpoints",
    "dissection.batch_size",
    "dissection.top_images",
    "dissection.chance.draws",
    "visualization.most",
    "visualization.test_images",
)
NON_NEGATIVE = (
    "data.validation",
    "data.two_figures.noise",
    "data.two_figures.seed",
    "dissection.chance.seed",
    "optimizer.clip_norm",
    "optimizer.decoupled_weight_decay",
    "optimizer.momentum",
    "optimizer.pruning.sparsity",
    "optimizer.pruning.start",
    "optimizer.warmup_steps",
    *(f"regularizer.{name}.{field}" for name in TERMS for field in ("strength", "warmup_steps")),
    "regularizer.grouping.group_size",
    "seed",
    "training.ema_decay",
    "training.label_smoothing",
    "training.num_epochs",
    "training.num_steps",
)


def validate(config: ConfigDict) -> None:
    """Checks every field that can be checked without data or model.

    Raises:
      UserError: naming the wrong fields, their values, and what is allowed.
    """
    if not isinstance(config, ConfigDict):
        raise UserError(f"config = {config!r}: expected a configuration, as interpjax.get_config(name) gives")
    check_kinds(config)
    problems = Problems()
    for name, choices in CHOICES.items():
        with problems.collected():
            _require_choice(config, name, choices)
    for name in POSITIVE:
        _require(problems, config, name, lambda v: v > 0, "expected a number above 0")
    for name in NON_NEGATIVE:
        _require(problems, config, name, lambda v: v >= 0, "expected a number of 0 or more")
    for name in ("data.validation", "training.ema_decay", "training.label_smoothing", "optimizer.pruning.sparsity"):
        _require(problems, config, name, lambda v: v < 1, "expected a number below 1")
    for name in ("regularizer.block_norm.p", "regularizer.block_norm.q"):
        exponent = name[-1]
        _require(problems, config, name, lambda v: v >= 1, f"a norm needs 1 <= {exponent} <= inf")
    _require(problems, config, "wandb", _is_project, "expected the name of a project, without any of / \\ # ? % :")
    for name in ("mean", "std"):
        _require(problems, config, f"data.{name}", lambda v: len(v) == 3, "expected three numbers, one a channel")
    _require(problems, config, "data.std", lambda v: min(v, default=1) > 0, "expected a number above 0")
    smallest = 1 / 256  # a smaller deviation is less than one step of an 8-bit image
    _require(problems, config, "data.std", lambda v: max(v, default=1) >= smallest, "expected those of images in 0..1")
    checks = (_check_duration, _check_profile, _check_classes, _check_sizes, _check_chance, _check_pictures)
    for check in (*checks, _check_optimizer, _check_average, _check_pruning):
        with problems.collected():
            check(config)
    problems.raise_all()


def _check_duration(config: ConfigDict) -> None:
    if config.training.num_steps == 0 and config.training.num_epochs == 0:
        raise UserError("config.training.num_steps = 0 and config.training.num_epochs = 0: expected one above 0")


def _check_profile(config: ConfigDict) -> None:
    steps = config.training.profile_steps
    whole = all(isinstance(step, int) and not isinstance(step, bool) for step in steps)
    if len(steps) and not (len(steps) == 2 and whole and 1 <= steps[0] <= steps[1]):
        raise UserError(
            f"config.training.profile_steps = {steps!r}: expected the numbers of a first and a last step, from 1 on, "
            "as (100, 105), or ()"
        )


def _check_sizes(config: ConfigDict) -> None:
    made = config.data.two_figures.image_size
    if config.data.source == "two_figures" and not config.model.weights and config.data.image_size != made:
        raise UserError(
            f"config.data.image_size = {config.data.image_size}: images are rendered at "
            f"config.data.two_figures.image_size = {made}; set both (and config.data.resize_size)"
        )
    if config.data.resize_size < config.data.image_size:
        raise UserError(
            f"config.data.resize_size = {config.data.resize_size}: expected at least config.data.image_size "
            f"= {config.data.image_size}, for the centre crop is taken from it"
        )


def _check_classes(config: ConfigDict) -> None:
    classes = config.data.classes
    if any(isinstance(each, bool) or not isinstance(each, (str, int)) for each in classes) or len(classes) == 1:
        raise UserError(f"config.data.classes = {classes!r}: expected names or numbers of two classes or more, or ()")
    if classes and config.data.source not in ("image_folder", "tfds"):
        raise UserError(
            f"config.data.classes = {classes!r}: with data.source {config.data.source} expected (); only "
            "image_folder and tfds take some of their classes"
        )


def _check_chance(config: ConfigDict) -> None:
    kinds = config.dissection.chance.kinds
    if not kinds or any(kind not in CHANCE_KINDS for kind in kinds) or len(set(kinds)) < len(kinds):
        raise UserError(
            f"config.dissection.chance.kinds = {kinds!r}: expected one or more of {', '.join(CHANCE_KINDS)}, none twice"
        )


def _check_pictures(config: ConfigDict) -> None:
    kinds = config.visualization.pictures
    if any(kind not in PICTURES for kind in kinds) or len(set(kinds)) < len(kinds):
        raise UserError(
            f"config.visualization.pictures = {kinds!r}: expected some of {', '.join(PICTURES)}, none twice, or ()"
        )


def _check_optimizer(config: ConfigDict) -> None:
    settings = config.optimizer
    if (settings.name == "adamw") != (settings.decoupled_weight_decay > 0):
        expected = "a number above 0 with" if settings.name == "adamw" else "0, for it is of adamw, not of"
        raise UserError(
            f"config.optimizer.decoupled_weight_decay = {settings.decoupled_weight_decay}: expected {expected} "
            f"config.optimizer.name = {settings.name!r}"
        )
    if settings.nesterov and (settings.name != "sgd" or settings.momentum == 0):
        raise UserError(
            f"config.optimizer.nesterov = True: expected False with config.optimizer.name = {settings.name!r} and "
            f"momentum = {settings.momentum}, for it is of sgd with a momentum above 0"
        )
    if settings.clip_norm > 0 and _is_proximal(config):
        raise UserError(
            f"config.optimizer.clip_norm = {settings.clip_norm}: expected 0 with block_norm.proximal, for the step of "
            "gradients that are scaled down is smaller than the learning rate, by which the proximal step is made"
        )


def _check_average(config: ConfigDict) -> None:
    if config.training.ema_decay > 0 and config.training.on_nonfinite == "rollback":
        raise UserError(
            f"config.training.ema_decay = {config.training.ema_decay}: expected 0 with training.on_nonfinite = "
            "'rollback', for the average would count the steps that are left out"
        )
    if config.training.ema_decay > 0 and _is_proximal(config):
        raise UserError(
            f"config.training.ema_decay = {config.training.ema_decay}: expected 0 with block_norm.proximal, whose "
            "exact zeros an average over the steps does not have"
        )


def _check_pruning(config: ConfigDict) -> None:
    settings = config.optimizer.pruning
    if not settings.start < settings.stop <= 1:
        raise UserError(
            f"config.optimizer.pruning: start = {settings.start} and stop = {settings.stop}; expected shares of the "
            "training, 0 <= start < stop <= 1"
        )
    if settings.sparsity > 0 and _is_proximal(config):
        raise UserError(
            f"config.optimizer.pruning.sparsity = {settings.sparsity}: expected 0 with block_norm.proximal, which "
            "makes zeros of its own"
        )
    if settings.sparsity > 0 and config.training.ema_decay > 0:
        raise UserError(
            f"config.optimizer.pruning.sparsity = {settings.sparsity}: expected 0 with training.ema_decay, for an "
            "average over the steps has no exact zeros"
        )


def _is_proximal(config: ConfigDict) -> bool:
    return config.regularizer.block_norm.proximal and config.regularizer.block_norm.strength > 0


def _is_project(name: str) -> bool:
    return not set(name) & set("/\\#?%:") and len(name) <= LONGEST_PROJECT


def _require_choice(config: ConfigDict, name: str, choices: tuple[str, ...]) -> None:
    value = get_field(config, name)
    own = name in IMPORTABLE and is_import_path(value)
    if value not in choices and not own:
        path = ", or give the import path of your own, 'module:name'" if name in IMPORTABLE else ""
        raise UserError(f"config.{name} = {value!r}: choose one of {', '.join(choices)}{path}")


def _require(problems: Problems, config: ConfigDict, name: str, allowed: Callable[[Any], bool], message: str) -> None:
    value = get_field(config, name)
    with problems.collected():
        if not allowed(value):
            raise UserError(f"config.{name} = {value!r}: {message}")
