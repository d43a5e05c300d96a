"""The data to train and test on, as a configuration names them."""

from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from interpjax.data.concepts import ConceptData
from interpjax.data.pipeline import PipelineSettings
from interpjax.data.shuffled import shuffle_labels
from interpjax.data.sources import Source, image_folder, tfds_set
from interpjax.data.two_figures.source import TwoFiguresSettings, two_figures
from interpjax.data.validation import hold_out
from interpjax.errors import UserError
from interpjax.imports import import_object, is_import_path
from interpjax.prepare import networks
from interpjax.prepare.labelled import USES_LABELS


def open_source(config: ConfigDict, workdir: Path, stages: Sequence[str]) -> Source | None:
    """Opens the data that some stages use.

    Args:
      config: the experiment.
      workdir: the run's folder. Data that have to be made, and labels that have to be read, are written there when the
        examples are first used.
      stages: the stages that are to be run. Training uses both splits; evaluation, and pictures of what units cause,
        only the test split, and evaluation the training split where a share of it is held out for validation.

    Returns:
      The data; None if the stages use none.

    Raises:
      UserError: naming the field and what to put where, if the data are missing or not of the right form.
    """
    settings, evaluated = config.data, "evaluate" in stages
    # What units cause is told of a network whose classes are those of the data, as one that was trained on them has.
    pictures = config.visualization.pictures if "visualize" in stages else ()
    causes = "causes" in pictures and networks.is_trained(workdir, stages)
    wanted = {"train": evaluated and settings.validation > 0, "test": evaluated or causes}
    fields = [field for field, used in wanted.items() if used or "train" in stages]
    if not fields and not (set(USES_LABELS) & set(stages) and brings_concepts(config, workdir, stages)):
        return None
    return open_splits(config, workdir, fields)


def open_splits(config: ConfigDict, workdir: Path, splits: Sequence[str]) -> Source:
    """Opens some of the splits ``train`` and ``test``; the training images come with those that are held out of them.

    Raises:
      UserError: as :func:`open_source`.
    """
    source = _open(config, workdir / "data", splits)
    if source.train is None:
        return source
    if config.data.validation > 0:
        source = hold_out(source, config.data.validation, config.seed)
    return shuffle_labels(source, config.seed) if config.data.shuffled_labels else source


def _open(config: ConfigDict, directory: Path, fields: Sequence[str]) -> Source:
    settings = config.data
    if is_import_path(settings.source):
        return _own_source(config, fields)
    if settings.source == "two_figures":
        return two_figures(TwoFiguresSettings(**settings.two_figures), Path(settings.directory or directory))
    wanted = {field: settings[field] for field in fields}
    if settings.source == "image_folder":
        return image_folder(wanted, settings.classes)
    return tfds_set(settings.tfds_name, settings.directory, wanted, settings.classes, cache=directory)


def brings_concepts(config: ConfigDict, workdir: Path, stages: Sequence[str]) -> bool:
    """Whether the data to train and test on bring the labelled images to dissect with."""
    own = config.data.source == "two_figures" or is_import_path(config.data.source)
    trained = not config.model.weights or networks.is_trained(workdir, stages)
    return own and not config.dissection.broden and trained


def read_pipeline(config: ConfigDict) -> PipelineSettings:
    """The settings by which examples become batches."""
    return PipelineSettings(
        batch_size=config.training.batch_size,
        image_size=config.data.image_size,
        resize_size=config.data.resize_size,
        augment=config.data.augment,
        seed=config.seed,
        num_threads=config.data.num_threads,
        skip_bad_images=config.data.on_bad_image == "skip",
        max_pixels=config.data.max_pixels,
    )


def _own_source(config: ConfigDict, fields: Sequence[str]) -> Source:
    field, path = "config.data.source", config.data.source
    function = import_object(field, path)
    if not callable(function):
        raise UserError(f"{field} = {path!r}: a {type(function).__name__}; expected a function of the configuration")
    source = function(config)
    if not isinstance(source, Source):
        raise UserError(f"{field} = {path!r}: it gave a {type(source).__name__}; expected an interpjax.data.Source")
    if not all(isinstance(each, str) for each in source.class_names) or len(source.class_names) < 2:
        raise UserError(
            f"{field} = {path!r}: class_names = {source.class_names!r}; expected names of two classes or more"
        )
    for name in fields:
        split, classes = getattr(source, name), len(source.class_names)
        if not (hasattr(split, "__len__") and hasattr(split, "__getitem__")):
            raise UserError(
                f"{field} = {path!r}: its {name} is a {type(split).__name__}; expected a Split, as an "
                "interpjax.data.ArraySplit or FileSplit"
            )
        wrong = [label for label in getattr(split, "labels", ()) if not 0 <= label < classes]
        if wrong:
            raise UserError(
                f"{field} = {path!r}: its {name} has the label {wrong[0]}; expected 0 to {classes - 1}, for there are "
                f"{classes} class_names"
            )
    if not isinstance(source.concepts, ConceptData | None):
        raise UserError(
            f"{field} = {path!r}: its concepts are a {type(source.concepts).__name__}; expected an "
            "interpjax.data.ConceptData, as load_broden gives, or None"
        )
    return source
