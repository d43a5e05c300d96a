"""Makes an experiment of a configuration. Only here is a configuration read, and all that can be checked is checked."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from ml_collections import ConfigDict

from interpjax import dissection, models, parallel, tracking, training
from interpjax.config import to_json, validate
from interpjax.data.concepts import ConceptData
from interpjax.data.pipeline import PipelineSettings
from interpjax.data.sources import Source
from interpjax.errors import Problems, UserError
from interpjax.prepare import labelled, memory, networks, recipes, sources
from interpjax.prepare.checks import check_length, check_profile
from interpjax.prepare.labelled import Labelled, PictureSettings
from interpjax.preprocessing import WHITE, Preprocessing, read_mean_image
from interpjax.training.diagnostics import GroupDiagnostics
from interpjax.training.terms import BlockNorm, Groupings
from interpjax.workdir import read_stage

STAGES = ("train", "evaluate", "dissect", "chance", "visualize", "report")
BY_BATCHES = {"train", "evaluate"}  # of config.training.batch_size images
DEFAULT_STAGES = tuple(name for name in STAGES if name != "chance")  # which takes as long as dissect, or longer


@dataclasses.dataclass(frozen=True)
class Experiment:
    """All that the stages of a run use, as small frozen objects. A part that no stage uses is None.

    Attributes:
      workdir: the run's folder.
      config_text: the configuration, as it is stored.
      model: the network, for parallel steps.
      preprocessing: turns uint8 RGB images into the network's inputs.
      pipeline: the settings by which examples become batches.
      source: the data to train and evaluate on.
      imported: the network's variables, if they were imported and not trained here.
      start: the imported variables that training starts from; None if it starts from random ones.
      recipe: how the network is trained.
      groups: what is measured of the network's groups of filters.
      labelled: the labelled images, and how the network is dissected with them.
      pictures: which pictures the report has beside those of units.
    """

    workdir: Path
    config_text: str
    model: nn.Module
    preprocessing: Preprocessing
    pipeline: PipelineSettings
    source: Source | None
    imported: dict[str, Any] | None
    start: dict[str, Any] | None
    recipe: training.Recipe | None
    groups: GroupDiagnostics
    labelled: Labelled | None
    pictures: PictureSettings

    @functools.cached_property
    def variables(self) -> dict[str, Any]:
        """The network's variables, imported or trained. They are read once for all stages that follow the training."""
        if self.imported is not None:
            return self.imported
        last = read_stage(self.workdir, "train")["result"]["num_steps"]  # no earlier one is the trained network
        return training.read_variables(self.model, self.pipeline.image_size, self.workdir, step=last)

    @functools.cached_property
    def network(self) -> dissection.Network:
        """The network from images to activation maps, compiled once for all stages that look at units."""
        return self._network(self.variables)

    @functools.cached_property
    def untrained_network(self) -> dissection.Network:
        """As ``network``, with the random variables of the run's seed, even where training starts from other ones."""
        model, settings = models.outside_of_devices(self.model), self.pipeline
        variables = training.initial_variables(model, image_size=settings.image_size, seed=settings.seed)
        return self._network(variables)

    def _network(self, variables: dict[str, Any]) -> dissection.Network:
        assert self.labelled is not None
        return tapped_network(
            self.model, variables, self.labelled.layers, self.labelled.protocol.tap, self.preprocessing
        )


def tapped_network(
    model: nn.Module, variables: dict[str, Any], layers: Sequence[str], tap: str, preprocessing: Preprocessing
) -> dissection.Network:
    """A network of this package as dissection sees it.

    Args:
      model: for parallel steps or not.
      variables: of the model.
      layers: to dissect.
      tap: where in a layer its maps are taken, ``"pre"`` or ``"post"`` the activation.
      preprocessing: of the images.
    """
    alone = models.outside_of_devices(model)
    return dissection.from_jax(
        lambda variables, images: models.apply_with_taps(alone, variables, images, layers=layers, stage=tap)[1],
        variables,
        layers=layers,
        preprocessing=preprocessing,
        name=f"{alone!r}, {tap}",
    )


def prepare(
    config: ConfigDict, workdir: Path, stages: Sequence[str] = DEFAULT_STAGES, problems: Problems | None = None
) -> Experiment:
    """Reads a configuration, opens what some stages use, and checks that it all fits together. Nothing is written.

    A problem that only shows when an image or a label map is read is not found here.

    Args:
      config: the configuration of the experiment.
      workdir: the run's folder.
      stages: the stages that are to be run; what none of them uses is not opened.
      problems: problems that were found before, which are told together with those that are found here.

    Raises:
      UserError: naming the field or the file; several problems are told at once.
    """
    problems = problems or Problems()
    validate(config)
    parts = _open(config, workdir, stages, problems)
    model = networks.create(config, workdir, parts.source, parts.imported)
    alone = models.outside_of_devices(model)
    outline = models.outline(alone, config.data.image_size)
    recipe, images = _fit_together(config, model, outline.variables["params"], parts, stages, problems)
    return Experiment(
        workdir=workdir,
        config_text=to_json(config),
        model=model,
        preprocessing=parts.preprocessing,
        pipeline=sources.read_pipeline(config),
        source=parts.source,
        imported=parts.imported,
        start=networks.start_of(model, parts.weights) if parts.trained and parts.weights else None,
        recipe=recipe,
        groups=GroupDiagnostics(alone, config.data.image_size, parts.preprocessing, parts.block, parts.grouping),
        labelled=images,
        pictures=labelled.read_pictures(config),
    )


@dataclasses.dataclass(frozen=True)
class _Parts:
    """What is opened of an experiment before its network is made.

    ``trained`` is whether the network is trained in this workdir, before or now.
    """

    preprocessing: Preprocessing
    source: Source | None
    protocol: dissection.Protocol
    concepts: ConceptData | None
    trained: bool
    weights: dict[str, Any] | None
    block: BlockNorm
    grouping: Groupings

    @property
    def imported(self) -> dict[str, Any] | None:
        """The weights, if the network is used as imported; None if it is trained."""
        return None if self.trained else self.weights


def _open(config: ConfigDict, workdir: Path, stages: Sequence[str], problems: Problems) -> _Parts:
    """Opens the parts of an experiment that need no network. Raises UserError with all that is wrong with them."""
    with problems.collected():
        tracking.check(config.wandb)
    with problems.collected():
        preprocessing = read_preprocessing(config)
    with problems.collected():
        source = sources.open_source(config, workdir, stages)
    with problems.collected():
        protocol = labelled.read_protocol(config)
    with problems.collected():
        concepts = labelled.open_concepts(config, stages, sources.brings_concepts(config, workdir, stages))
    with problems.collected():
        networks.check_name(config)
        trained = networks.is_trained(workdir, stages)
        weights = networks.read_weights(config) if not trained or "train" in stages else None
    with problems.collected():
        if BY_BATCHES & set(stages):
            micro_batches = config.training.accumulate_steps if "train" in stages else 1
            parallel.check_batch_size("config.training.batch_size", config.training.batch_size, micro_batches)
    with problems.collected():
        grouping = recipes.read_grouping(config)
        block = recipes.read_block_norm(config, grouping)
    problems.raise_all()
    return _Parts(preprocessing, source, protocol, concepts, trained, weights, block, grouping)


def _fit_together(
    config: ConfigDict, model: nn.Module, params: Any, parts: _Parts, stages: Sequence[str], problems: Problems
) -> tuple[training.Recipe | None, Labelled | None]:
    """The recipe and the labelled images, where stages use them. Raises UserError with all that does not fit."""
    source, recipe, images = parts.source, None, None
    with problems.collected():
        memory.check_parameters(config, params)
    with problems.collected():
        if BY_BATCHES & set(stages):
            memory.check_batch(config)
    with problems.collected():
        recipe = recipes.read_recipe(config, model, parts.block, parts.grouping) if "train" in stages else None
        if recipe and source and source.train:
            check_length(recipe, source.train)
            check_profile(recipe.profile_steps, recipe.duration.steps(len(source.train)))
    with problems.collected():
        concepts = labelled.chosen_half(config, parts.concepts or (source.concepts if source else None))
        if set(labelled.USES_LABELS) & set(stages):
            images = labelled.read_labelled(config, model, concepts, parts.protocol, stages)
    problems.raise_all()
    return recipe, images


def read_preprocessing(config: ConfigDict) -> Preprocessing:
    """What turns uint8 RGB images into the network's inputs."""
    settings = config.data
    mean = read_mean_image(settings.mean_image, settings.image_size) if settings.mean_image else None
    try:
        return Preprocessing(
            WHITE * np.asarray(settings.mean) if mean is None else mean,
            WHITE * np.asarray(settings.std),
            settings.channels,
        )
    except ValueError as error:
        raise UserError(f"config.data.{error}") from error
