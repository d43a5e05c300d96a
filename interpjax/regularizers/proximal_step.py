"""The proximal step as an optax transform: ProxSGD, with or without momentum. No other regularizer uses optax."""

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from interpjax.regularizers.checks import check_amount, check_groupings
from interpjax.regularizers.groups import Grouping
from interpjax.regularizers.kernels import Groupings, check_names, grouped_kernels, layer_name, path_names
from interpjax.regularizers.proximal import check_prox, prox_block_norm

PyTree = Any
MOST_TRIALS = 16


class ProximalState(NamedTuple):
    """The number of steps that were taken."""

    step: Int[Array, ""]


def proximal_block_norm(
    learning_rate: optax.ScalarOrSchedule,
    strength: optax.ScalarOrSchedule,
    grouping: Groupings,
    p: float = 2.0,
    q: float = 1.0,
    *,
    form: str = "norm",
    layers: Sequence[str] = (),
    dense: bool = False,
    optimizer: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Makes an optimizer's step a proximal one: groups of filters become exactly zero, and stay so if nothing pulls.

    .. math:: u \mapsto \mathrm{prox}_{\eta\lambda\Omega}(w + u) - w

    It replaces the block norm in the loss, and comes last: it expects the whole step, with learning rate and momentum
    in it. Weights of a zero group end as w + (0 − w), an exact 0. ::

        reg.proximal_block_norm(0.01, 5e-3, grouping, optimizer=optax.sgd(0.01, momentum=0.9))

    An adaptive optimizer (Adam, RMSprop, sign descent …) has a step size of its own for every weight. The operator for
    the plain distance does not fit its step, and would not lead to a minimum. So an adaptive ``optimizer`` is refused.
    An optimizer that stands before this one in an ``optax.chain`` cannot be checked; give it as ``optimizer`` instead.

    An optimizer whose step is the same for all weights of a layer or group may be used. Where that step is not
    ``learning_rate``, pass it to ``update`` as ``step_sizes={layer: scalar, or one for each group}`` (q = 1).

    Args:
      learning_rate: η, a number or a schedule, the same as the optimizer's.
      strength: λ, a number or a schedule.
      grouping: the grouping of all layers, or one for each name pattern, as in :func:`block_norm_penalty`.
      p: as in :func:`prox_block_norm`.
      q: as in :func:`prox_block_norm`.
      form: as in :func:`prox_block_norm`.
      layers: name patterns, as in :func:`block_norm_penalty`.
      dense: whether kernels of dense layers count too.
      optimizer: the optimizer whose step comes before the proximal step. It is tried out when it is initialized.

    Raises:
      ValueError: if there is no such operator, or if the learning rate or the strength is negative (for a schedule,
        when it is evaluated outside of jit); on ``init``, if the optimizer is adaptive or a layer does not fit.

    References:
      Parikh and Boyd, *Proximal Algorithms*, 2014, Sec. 4.2; Yang, Yuan, Chatzimichailidis, van Sloun, Lei,
      Chatzinotas, *ProxSGD: Training Structured Neural Networks under Regularization and Constraints*, ICLR 2020.
    """
    check_prox(p, q, form)
    check_groupings(grouping)
    _at("learning_rate", learning_rate)
    _at("strength", strength)
    selection: dict[str, Any] = {"layers": layers, "dense": dense}
    operator: dict[str, Any] = {"p": p, "q": q, "form": form}

    def init(params: PyTree) -> ProximalState:
        kernels = grouped_kernels(params, grouping, **selection)
        for layer, (kernel, group) in kernels.items():
            jax.eval_shape(functools.partial(_prox, layer, group, strength=1.0, **operator), kernel)
        if optimizer is not None:
            _refuse_adaptive(optimizer, params, set(kernels))
        return ProximalState(jnp.zeros((), jnp.int32))

    def update(
        updates: PyTree,
        state: ProximalState,
        params: PyTree = None,
        *,
        step_sizes: Mapping[str, Float[Array, "..."] | float] | None = None,
        **_: Any,
    ) -> tuple[PyTree, ProximalState]:
        if params is None:
            raise ValueError("params = None: expected the parameters; call update(updates, state, params)")
        kernels = grouped_kernels(params, grouping, **selection)
        weight = _at("strength", strength, state.step)
        rates = dict.fromkeys(kernels, jnp.asarray(_at("learning_rate", learning_rate, state.step)))
        sizes = rates | _checked(step_sizes or {}, kernels)

        def step(path: tuple, update: Array, param: Array) -> Array:
            layer = layer_name(path)
            if layer not in kernels or path_names(path)[-1] != "kernel":
                return update
            return _prox(layer, kernels[layer][1], param + update, weight * sizes[layer], **operator) - param

        return jax.tree_util.tree_map_with_path(step, updates, params), ProximalState(state.step + 1)

    last = optax.GradientTransformationExtraArgs(init, update)
    return last if optimizer is None else optax.chain(optimizer, last)


def _at(name: str, value: optax.ScalarOrSchedule, step: Int[Array, ""] | None = None) -> Any:
    """A number, or the value of a schedule at a step. Raises ValueError if it is known and negative."""
    if callable(value):
        if step is None:
            return None
        name, value = f"{name} at step {step}", value(step)
    check_amount(name, value)
    return value


def _checked(step_sizes: Mapping[str, Any], layers: Collection[str]) -> dict[str, Any]:
    check_names("step_sizes", step_sizes, layers)
    for layer, size in step_sizes.items():
        check_amount(f"step_sizes[{layer!r}]", size)
    return dict(step_sizes)


def _prox(layer: str, grouping: Grouping, kernel: Array, strength: Any, **operator: Any) -> Array:
    try:
        return prox_block_norm(kernel, strength, grouping, **operator)
    except ValueError as error:
        raise ValueError(f"layer {layer}: {error}") from error


def _refuse_adaptive(optimizer: optax.GradientTransformation, params: PyTree, layers: set[str]) -> None:
    """Raises ValueError unless the optimizer's step is, in each kernel, the gradient times one number.

    The optimizer is tried on small parameters of zeros, to which weight decay, which is allowed, adds nothing.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    rng = np.random.default_rng(0)
    with jax.ensure_compile_time_eval():
        small = [jnp.zeros((1,) * (leaf.ndim - 1) + (8,) if leaf.ndim else (), leaf.dtype) for _, leaf in leaves]
        gradients = [jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype) for leaf in small]
        tree, gradient_tree = (jax.tree_util.tree_unflatten(structure, each) for each in (small, gradients))
        state = optimizer.init(tree)
        steps = jax.tree.map(jnp.zeros_like, tree)
        for _ in range(MOST_TRIALS):  # a schedule may start at 0, and gradients be collected first
            if any(step.any() for step in jax.tree.leaves(steps)):
                break
            steps, state = optimizer.update(gradient_tree, state, tree)
        for (path, _), gradient, step in zip(leaves, gradients, jax.tree.leaves(steps), strict=True):
            factors = np.asarray(step, np.float64) / np.asarray(gradient, np.float64)
            kernel = path_names(path)[-1] == "kernel" and layer_name(path) in layers
            if kernel and not np.allclose(factors, factors.ravel()[0], rtol=0.02):  # bfloat16 keeps 8 bits
                raise ValueError(
                    f"optimizer: its step on {layer_name(path)}/kernel is not the gradient times one number for all "
                    "weights, as expected for the proximal operator of a group: its steps differ by weight (Adam, "
                    "RMSprop, …) or are not linear in the gradient (clipping weight by weight, noise). Use SGD, with "
                    "momentum or not, or keep the block norm in the loss"
                )
