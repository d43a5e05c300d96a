"""Which fields may change in the workdir of a run that has begun, and why."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from interpjax.config.schema import default_config
from interpjax.config.values import differing_fields

# These change no parameter of the network and no score.
WITHOUT_EFFECT = {
    "data.num_threads": "the order of the images does not depend on the threads that read them",
    "data.on_bad_image": "it decides whether an unreadable image ends the run; a readable one is used either way",
    "training.log_every_steps": "metrics are read from the training and never enter it",
    "training.eval_every_steps": "evaluation reads the network, and has an iterator of its own",
    "training.checkpoint_every_steps": "a run goes on from a checkpoint as if it had not stopped",
    "training.keep_checkpoints": "only how many earlier checkpoints stay",
    "training.profile_steps": "the profiler watches and changes nothing",
    "visualization.pictures": "pictures are made of the network and change nothing of it",
    "visualization.most": "only how many pictures are made",
    "visualization.test_images": "on how many images the report tells what units cause",
    "wandb": "metrics and scores are read from the run and never enter it",
    "compilation_cache": "a program is the same, compiled or read",
}
# What is in these files and folders counts, and not where they are: fingerprints of the content tell the data apart.
BY_CONTENT = frozenset(
    ("data.train", "data.test", "data.directory", "data.mean_image", "dissection.broden", "model.weights")
)
EMPTY_COUNTS = ("data.mean_image", "model.weights")  # whether there is such a file at all changes the run
DEFAULTS = 1  # raised where the default of a field changes, so that digests do
# The splits of tfds are names, what one's own source makes of a field is not known, and two_figures reads no folder.
FOLDERS = {
    "image_folder": ("data.train", "data.test", "data.directory"),
    "tfds": ("data.directory",),
    "two_figures": ("data.train", "data.test", "data.directory"),
}


def may_change(
    name: str, ours: Any, theirs: Any, source: str, *, restart: bool = False, dissected: bool = True
) -> bool:
    """Whether a field may have another value than the run was begun with.

    Args:
      name: of the field, as ``"training.log_every_steps"``.
      ours: its value.
      theirs: the value in the workdir.
      source: ``data.source``.
      restart: whether training starts again from an earlier checkpoint, by an optimizer that may be another.
      dissected: whether its network has been dissected; before that all fields of the dissection are free.
    """
    if name.startswith("dissection.") and not dissected:
        return True
    if name in WITHOUT_EFFECT or (restart and (name.startswith("optimizer.") or name == "training.on_nonfinite")):
        return True
    if name not in BY_CONTENT or same_path(ours, theirs):
        return name in BY_CONTENT
    if name in EMPTY_COUNTS:
        return bool(ours) and bool(theirs)
    return name == "dissection.broden" or name in FOLDERS.get(source, ())


def same_path(ours: Any, theirs: Any) -> bool:
    """Whether two values of a field are the same file or folder, however it is spelled."""
    return bool(ours) and bool(theirs) and _resolved(ours) == _resolved(theirs)


def without_spelling(differing: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """The fields that differ in more than the way in which a path is spelled."""
    return {name: both for name, both in differing.items() if not (name in BY_CONTENT and same_path(*both))}


def digest(config: ConfigDict) -> str:
    """Ten hexadecimal digits that are the same for configurations that find the same, given the same folders of data.

    They are made of the fields that are not at their default, but for those without an effect on any score and those
    that name folders to train on. Of Broden it counts whether there is one, of a file what it is called. So a field
    that a later version adds, at its default, does not change them; where a default changes, :data:`DEFAULTS` has to.
    """
    left_out = {*WITHOUT_EFFECT, *FOLDERS.get(config.data.source, ())}
    differing = differing_fields(config, default_config())
    fields: dict[str, Any] = {name: ours for name, (ours, _) in differing.items() if name not in left_out}
    if "dissection.broden" in fields:
        fields["dissection.broden"] = True
    fields |= {name: Path(fields[name]).name for name in EMPTY_COUNTS if name in fields}
    fields["version of the defaults"] = DEFAULTS
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:10]


def _resolved(path: str) -> Path:
    return Path(path).expanduser().resolve()
