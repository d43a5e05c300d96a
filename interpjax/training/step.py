"""One step of training and of evaluation, for the part of a batch that one device holds."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from interpjax import models, parallel
from interpjax.preprocessing import Preprocessing
from interpjax.training.objective import Objective, cross_entropy
from interpjax.training.state import TrainState

Metrics = dict[str, Float[Array, ""]]
TOP_K = 5


def make_train_step(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    objective: Objective,
    *,
    preprocessing: Preprocessing,
    learning_rate: optax.Schedule,
    seed: int,
) -> Callable[[TrainState, Any], tuple[TrainState, Metrics]]:
    """The step over all devices: gradients and metrics are those of the whole batch, whatever their number.

    The state is donated. ``learning_rate`` is only reported, at the step's own number. Every device computes the
    penalties on parameters for itself, from its copy of them; losses on activations see the whole batch.
    """

    def train_step(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        dropout_key, term_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), state.step))
        images = jnp.asarray(preprocessing(batch["image"]))

        def loss_fn(params):
            logits, maps, batch_stats = models.apply_in_training(
                model,
                {**state.variables, "params": params},
                images,
                layers=objective.layers,
                dropout_key=parallel.fold_in_device(dropout_key),
            )
            data_loss = jnp.mean(cross_entropy(logits, batch["label"]))
            loss, terms = objective(data_loss, params, maps, step=state.step, key=term_key, axis_name=parallel.AXIS)
            accuracy = jnp.mean(jnp.argmax(logits, -1) == batch["label"], dtype=jnp.float32)
            return loss, (terms | {"accuracy": accuracy}, batch_stats)

        gradients, (metrics, batch_stats) = jax.grad(loss_fn, has_aux=True)(state.params)
        gradients, metrics, batch_stats = parallel.mean((gradients, metrics, batch_stats))
        metrics["learning_rate"] = jnp.asarray(learning_rate(state.step), jnp.float32)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(state.step + 1, params, batch_stats, opt_state), metrics

    return parallel.parallelize(train_step, donate=(0,))


def make_eval_step(model: nn.Module, preprocessing: Preprocessing) -> Callable[[Any, Any], Metrics]:
    """Sums over the real examples of a batch, on all devices: ``count``, ``correct``, ``correct_top5``, ``loss``."""

    def eval_step(variables: Any, batch: Any) -> Metrics:
        logits: Any = model.apply(variables, preprocessing(batch["image"]), train=False)
        labels, mask = batch["label"], batch["mask"]
        _, best = jax.lax.top_k(logits, min(TOP_K, logits.shape[-1]))
        hits = best == labels[:, None]
        sums = {
            "count": mask,
            "correct": hits[:, 0].astype(mask.dtype) * mask,
            "correct_top5": hits.any(axis=1).astype(mask.dtype) * mask,
            "loss": cross_entropy(logits, labels) * mask,
        }
        return parallel.total({name: jnp.sum(values) for name, values in sums.items()})

    return parallel.parallelize(eval_step)
