"""The golden records of published definitions: parameters by a formula, and what they give."""

import dataclasses
import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from interpjax import models
from interpjax.models.weights.torch import torch_name

MODELS = {"cgl_alexnet": "alexnet", "cgl_alexnet_bn": "alexnet_b"}  # of records that are named otherwise


@dataclasses.dataclass(frozen=True)
class Record:
    """A record, its parameters and input in float64."""

    name: str
    meta: dict[str, Any]
    arrays: Any
    formula: Any

    @property
    def model_name(self) -> str:
        return MODELS.get(self.name, self.name)

    @functools.cached_property
    def model(self):
        return models.create_model(self.model_name, num_classes=10, dropout=False)

    @functools.cached_property
    def state(self) -> dict[str, np.ndarray]:
        return {name: self.formula.fill(name, shape).astype(np.float64) for name, shape in self.meta["state_dict"]}

    @functools.cached_property
    def variables(self):
        return jax.tree.map(jnp.asarray, models.import_torch(self.model_name, self.state))

    @functools.cached_property
    def images(self) -> jax.Array:
        given = self.meta["input"]
        images = self.formula.fill("input", given["shape_nchw"]).astype(np.float64) * given["factor"]
        return jnp.asarray(images.transpose(0, 2, 3, 1))

    def recorded_name(self, layer: str) -> str:
        """The record's name of a layer: the published code's own, or torchvision's."""
        names = {recorded["name"] for recorded in self.meta["layers"]}
        return layer if layer in names else torch_name(self.model, layer)

    def layer_error(self, recorded: str, maps: np.ndarray) -> float:
        """Largest difference of a layer's 16 samples, in its standard deviations."""
        row = [layer["name"] for layer in self.meta["layers"]].index(recorded)
        assert list(maps.shape) == self.meta["layers"][row]["shape_nhwc"]
        samples = np.asarray(maps).ravel()[self.formula.sample_indices(recorded, maps.size, 16)]
        return np.abs(samples - self.arrays["eval_layer_samples"][row]).max() / self.arrays["eval_layer_std"][row]

    def gradient_errors(self, gradients) -> tuple[float, float]:
        """Largest relative differences of norms and of samples; of those that are zero beside the whole gradient."""
        own = self._by_recorded_name(models.export_torch(self.model_name, {"params": gradients}))
        whole = np.sqrt(sum(np.sum(np.square(array)) for array in own.values()))
        norms, samples = [], []
        for row, name in enumerate(self.meta["parameters"]):
            norm = self.arrays["grad_norm"][row]
            scale = whole if name in self.meta["zero_gradients"] else norm
            norms.append(abs(np.linalg.norm(own[name]) - norm) / scale)
            chosen = own[name].ravel()[self.formula.sample_indices(name, own[name].size, 4)]
            samples.append(np.abs(chosen - self.arrays["grad_samples"][row]).max() / scale)
        return max(norms), max(samples)

    def running_error(self, batch_stats) -> float:
        own = models.export_torch(self.model_name, {"batch_stats": batch_stats})
        errors = []
        for name, norm, samples in zip(
            self.meta["running"], self.arrays["running_norm"], self.arrays["running_samples"], strict=True
        ):
            chosen = own[name].ravel()[self.formula.sample_indices(name, own[name].size, 4)]
            errors += [abs(np.linalg.norm(own[name]) / norm - 1), np.abs(chosen - samples).max() / norm]
        return max(errors)

    def _by_recorded_name(self, entries):
        names = {torch_name(self.model, layer): self.recorded_name(layer) for layer in self.variables["params"]}
        return {f"{names[layer]}.{leaf}": array for (layer, _, leaf), array in _split(entries)}


def _split(entries):
    return [(name.rpartition("."), array) for name, array in entries.items()]


def load(shared: Path, name: str) -> Record:
    folder = shared / "golden" / "models"
    spec = importlib.util.spec_from_file_location("fill", folder / "fill.py")
    formula = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(formula)
    return Record(name, json.loads((folder / f"{name}.json").read_text()), np.load(folder / f"{name}.npz"), formula)


def loss_and_gradients(record: Record):
    """Of the training mode: logits, loss, gradients, and the new running statistics."""
    labels, divisor = np.array(record.meta["labels"]), record.meta["loss_logit_divisor"]

    def loss(params, batch_stats, images):
        variables = {"params": params, "batch_stats": batch_stats}
        logits, changed = record.model.apply(variables, images, train=True, mutable=["batch_stats"])
        log_probabilities = jax.nn.log_softmax(logits / divisor)
        return -log_probabilities[np.arange(2), labels].mean(), (logits, changed.get("batch_stats", {}))

    run = jax.jit(jax.value_and_grad(loss, has_aux=True))
    parts = record.variables["params"], record.variables.get("batch_stats", {}), record.images
    (value, (logits, changed)), gradients = run(*parts)
    return logits, value, gradients, changed
