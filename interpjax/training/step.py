"""One step of training and of evaluation, for the part of a batch that one device holds."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from interpjax import models, parallel
from interpjax.preprocessing import Preprocessing
from interpjax.training.objective import Objective, cross_entropy
from interpjax.training.state import TrainState

Metrics = dict[str, Float[Array, ""]]
# of the state, a batch, and the keys of dropout and of the terms: the gradients, the metrics, the batch statistics
Gradients = Callable[[TrainState, Any, jax.Array, jax.Array], Any]
TrainStep = Callable[[TrainState, Any], tuple[TrainState, Metrics]]  # of the state and a batch, on all devices
EvalStep = Callable[[Any, Any], Metrics]  # of a replicated network's variables and a batch, on all devices
TOP_K = 5


def make_train_step(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    objective: Objective,
    *,
    preprocessing: Preprocessing,
    learning_rate: optax.Schedule,
    seed: int,
    ema_decay: float = 0.0,
    skip_nonfinite: bool = False,
    accumulate_steps: int = 1,
) -> TrainStep:
    """Makes the training step, which runs on all devices. Gradients and metrics are those of the whole batch.

    The state is donated. ``learning_rate`` is only reported, for the number of the step. Every device computes the
    penalties on parameters from its own copy of them. Losses on activations see the whole batch. With ``ema_decay``
    the state has an average of its variables, as :func:`create_train_state` gives it, which every step updates.
    With ``skip_nonfinite`` a step whose loss or gradients are not finite changes nothing but the number of steps, and
    the metric ``skipped_steps`` is 1. With ``accumulate_steps`` above 1 each device takes its share of the batch in so
    many micro-batches, one after the other, and gradients and metrics are means over them. Losses on activations and
    batch norm then see a micro-batch of all devices at a time, and the running statistics move with each of them.
    """
    gradients_of = _gradient_function(model, objective, preprocessing)
    if accumulate_steps > 1:
        gradients_of = _accumulating(gradients_of, accumulate_steps)

    def train_step(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        dropout_key, term_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), state.step))
        gradients, metrics, batch_stats = parallel.mean(gradients_of(state, batch, dropout_key, term_key))
        metrics["learning_rate"] = jnp.asarray(learning_rate(state.step), jnp.float32)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        after = TrainState(state.step + 1, params, batch_stats, opt_state)
        if ema_decay:
            after = after.averaged(state.average, ema_decay)
        if skip_nonfinite:  # all devices agree, for these are means over all of them
            finite = _all_finite((metrics["loss"], gradients))
            metrics["skipped_steps"] = 1 - finite.astype(jnp.float32)
            unchanged = state.replace(step=after.step)
            after = jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, unchanged)
        return after, metrics

    return parallel.parallelize(train_step, donate=(0,))


def _gradient_function(model: nn.Module, objective: Objective, preprocessing: Preprocessing) -> Gradients:
    """The gradients, the metrics and the new batch statistics of one device's part of a batch."""

    def gradients_of(state: TrainState, batch: Any, dropout_key: jax.Array, term_key: jax.Array) -> Any:
        images = jnp.asarray(preprocessing(batch["image"]))

        def loss_fn(params):
            logits, maps, batch_stats = models.apply_in_training(
                model,
                {**state.variables, "params": params},
                images,
                layers=objective.layers,
                dropout_key=parallel.fold_in_device(dropout_key),
            )
            data_loss = objective.data_loss(logits, batch["label"])
            loss, terms = objective(data_loss, params, maps, step=state.step, key=term_key, axis_name=parallel.AXIS)
            accuracy = jnp.mean(jnp.argmax(logits, -1) == batch["label"], dtype=jnp.float32)
            return loss, (terms | {"accuracy": accuracy}, batch_stats)

        gradients, (metrics, batch_stats) = jax.grad(loss_fn, has_aux=True)(state.params)
        return gradients, metrics, batch_stats

    return gradients_of


def _accumulating(gradients_of: Gradients, micro_batches: int) -> Gradients:
    """As ``gradients_of``, by micro-batches one after the other, of which only one is in memory at a time."""

    def accumulated(state: TrainState, batch: Any, dropout_key: jax.Array, term_key: jax.Array) -> Any:
        def add(so_far, micro_batch):
            sums, batch_stats = so_far
            number, part = micro_batch
            now, key = state.replace(batch_stats=batch_stats), jax.random.fold_in(dropout_key, number)
            gradients, metrics, batch_stats = gradients_of(now, part, key, term_key)
            return (jax.tree.map(jnp.add, sums, gradients), batch_stats), metrics

        parts = jax.tree.map(lambda x: x.reshape(micro_batches, -1, *x.shape[1:]), batch)
        start = jax.tree.map(jnp.zeros_like, state.params), state.batch_stats
        (sums, batch_stats), metrics = jax.lax.scan(add, start, (jnp.arange(micro_batches), parts))
        gradients = jax.tree.map(lambda total: total / micro_batches, sums)
        return gradients, jax.tree.map(jnp.mean, metrics), batch_stats

    return accumulated


def make_eval_step(model: nn.Module, preprocessing: Preprocessing) -> EvalStep:
    """Makes the step of evaluation, which sums over the real examples of a batch, on all devices.

    The sums are ``count``, ``correct``, ``correct_top5`` and ``loss``.
    """

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


def _all_finite(tree: Any) -> Bool[Array, ""]:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()
