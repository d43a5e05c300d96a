"""Runs that differ by their seed alone are one setting; what else differs gives the settings their names."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from interpjax.comparison.runs import Run, differences_in_layers, differences_in_measure, differences_in_test
from interpjax.config import default_config, differing_fields, may_change, to_json, without_spelling
from interpjax.errors import UserError

# Files of which a run notes no fingerprint: another path may be another file.
BY_PATH = ("data.mean_image", "model.weights")
# Which images are held out is drawn by the seed, so that no fingerprint tells whether two seeds trained on the same
# ones; that their folder is the same does.
HELD_OUT_FROM = {"image_folder": "data.train", "tfds": "data.directory"}
TRAINED = ("train_images", "validation_images")
SHOWING = ("visualization.", "wandb")  # what a run shows of itself, and where


@dataclasses.dataclass(frozen=True, eq=False)
class Setting:
    """Runs of one configuration with several seeds.

    Attributes:
      number: from 1, in the order in which the runs were given.
      fields: the values of the fields that tell the settings apart.
      description: those of the fields that are not at their defaults, in words.
      runs: by rising seed, each of another.
    """

    number: int
    fields: Mapping[str, Any]
    description: str
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        """Short, for columns and figures: ``"S1"``."""
        return f"S{self.number}"

    def by_seed(self) -> dict[int, Run]:
        """The runs by their seeds."""
        return {run.seed: run for run in self.runs}


def pairs_of_runs(settings: Sequence[Setting], runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Each run but the first, behind the one that it is held against: that of the first setting with the same seed.

    Where there is none, or it is the run itself, it is the first run.

    Args:
      settings: of the runs.
      runs: in the order in which they were given.
    """
    by_seed, first = settings[0].by_seed(), runs[0]
    same_seed = [(by_seed.get(run.seed, first), run) for run in runs[1:]]
    return [(first if other is run else other, run) for other, run in same_seed]


def group_runs(runs: Sequence[Run]) -> list[Setting]:
    """The settings of some runs, in the order of their first ones.

    Two runs are of one setting if they dissect the same layers, by the same protocol on the same labelled images, have
    the same classes and images, and differ in no field but ``seed`` and those that change no result. Where a seed of
    the data is the run's own seed in both, as ``data.two_figures.seed``, the images may be others.

    Raises:
      UserError: naming both, if two runs have the same setting and seed.
    """
    groups: list[list[Run]] = []
    for run in runs:
        home = next((group for group in groups if all(_same_setting(other, run) for other in group)), None)
        if home is None:
            groups.append([run])
            continue
        for other in home:
            if other.seed == run.seed:
                raise UserError(
                    f"workdirs {other.workdir} and {run.workdir}: both are of one configuration and seed "
                    f"{run.seed}; expected each seed of a setting once"
                )
        home.append(run)
    names = naming_fields([group[0] for group in groups])
    words = [_describe(group[0], names) for group in groups]
    return [
        Setting(
            number=number,
            fields={name: group[0].fields.get(name) for name in names},
            description=told if words.count(told) == 1 else f"{told} ({group[0].name})",
            runs=tuple(sorted(group, key=lambda run: run.seed)),
        )
        for number, (group, told) in enumerate(zip(groups, words, strict=True), start=1)
    ]


def seed_of_data(source: str) -> str:
    """The field by which a source draws its images, if it does."""
    return f"data.{source}.seed"


def obstacles(one: Run, other: Run) -> list[str]:
    """Why two runs cannot be held against each other, a clause each, if seeds may have images of their own."""
    return [
        *differences_in_measure(one, other, images=have_the_same_labels(one, other)),
        *differences_in_layers(one, other),
        *differences_in_test(one, other, images=not images_go_with_seeds(one, other)),
    ]


def have_the_same_labels(one: Run, other: Run) -> bool:
    """Whether the labelled images of two runs have to be the same, for they do not come with data of another seed."""
    return not images_go_with_seeds(one, other) or bool(one.fields["dissection.broden"])


def deciding_fields(one: Run, other: Run) -> dict[str, tuple[Any, Any]]:
    """``{field: (value of one, value of other)}`` of the fields in which two trainings differ, but the seed.

    A seed of the data that goes with it is not among them. Fields of the dissection are not, for what they decide is
    seen in its results, nor are folders of data, for runs note fingerprints of what is in them, but for the folder that
    images are held out from.
    """
    source = one.fields["data.source"]
    differing = without_spelling(differing_fields(one.config_text, other.config_text))
    seeds = {"seed"} | ({seed_of_data(source)} if images_go_with_seeds(one, other) else set())
    by_path = (*BY_PATH, HELD_OUT_FROM.get(source)) if one.fields["data.validation"] else BY_PATH
    return {
        name: both
        for name, both in differing.items()
        if name not in seeds and (name in by_path or not may_change(name, *both, source, dissected=False))
    }


def images_go_with_seeds(one: Run, other: Run) -> bool:
    """Whether the images of two runs are drawn by the seed of each, and so are others, as ``data.two_figures.seed``."""
    seeds = [(run.seed, run.fields.get(seed_of_data(run.fields["data.source"]))) for run in (one, other)]
    return one.seed != other.seed and all(own == drawn for own, drawn in seeds)


def naming_fields(runs: Sequence[Run]) -> list[str]:
    """The fields in which any of some runs differs from the first in what it was trained to."""
    return sorted({name for run in runs[1:] for name in deciding_fields(runs[0], run)})


def all_differing_fields(runs: Sequence[Run]) -> list[str]:
    """The fields in which any of some runs differs from the first, with the seed and those that change no result.

    Without those that say what a run shows of itself.
    """
    found = {name for run in runs[1:] for name in differing_fields(runs[0].config_text, run.config_text)}
    return sorted(name for name in found if not name.startswith(SHOWING))


def _same_setting(one: Run, other: Run) -> bool:
    images = not images_go_with_seeds(one, other)
    return (
        not obstacles(one, other)
        and _trained_on(one, images) == _trained_on(other, images)
        and not deciding_fields(one, other)
    )


def _trained_on(run: Run, images: bool) -> dict[str, Any]:
    """The facts of the images trained on; their numbers alone where they, or those held out, are drawn by the seed."""
    if images and not run.fields["data.validation"]:
        return {name: value for name, value in run.facts.items() if name.startswith(TRAINED)}
    return {name: run.facts.get(name) for name in TRAINED}


def _describe(run: Run, names: Sequence[str]) -> str:
    if not names:
        return "the one configuration"
    changed = differing_fields(run.config_text, to_json(default_config()))
    told = [f"{name} = {show(run.fields.get(name))}" for name in names if name in changed]
    return ", ".join(told) or "these fields at their defaults"


def show(value: Any) -> str:
    """A field's value as people read it; a dash for None, of a field that the version of a run did not have."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:g}"
    return repr(value) if isinstance(value, str) else str(value)
