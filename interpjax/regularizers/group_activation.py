"""Losses that make filters of one group active in the same region, and filters of different groups in others."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from interpjax.regularizers.checks import check_grouping, check_maps, check_shape
from interpjax.regularizers.groups import Grouping
from interpjax.regularizers.norms import at_least_float32

FORMS = ("code", "paper")
PAIRS_PER_MEMBER = 3
Pairs = Int[Array, "pairs 2"]


def draw_pairs(key: jax.Array, grouping: Grouping, channels: int) -> Pairs:
    """Random pairs of different filters of a group, three times as many as it has filters.

    Args:
      key: a key of jax.random, a new one for each step.
      grouping: which filters belong together.
      channels: number of filters of the layer.

    Returns:
      Indices within a group, from 0. They serve all groups of the layer, so they stay below the size of the smallest:
      further filters of a larger group, as the remainder in the last one, are in no pair.

    Raises:
      ValueError: if a group has a single filter, or the grouping does not fit.

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021, Sec. 3 (r = 3·N_g).
    """
    check_grouping(grouping)
    sizes = grouping.sizes(channels)
    size = min(sizes)
    if size < 2:
        which = "each" if max(sizes) < 2 else "one"
        raise ValueError(
            f"{len(sizes)} groups of {channels} filters: {which} group has a single filter, and no pairs: use fewer "
            "groups"
        )
    first_key, second_key = jax.random.split(key)
    first = jax.random.randint(first_key, (PAIRS_PER_MEMBER * size,), 0, size)
    other = jax.random.randint(second_key, first.shape, 1, size)
    return jnp.stack([first, (first + other) % size], axis=1)


def group_activation_loss(
    fields: Float[Array, "n h w c"],
    grouping: Grouping,
    pairs: Int[Array | np.ndarray, "pairs 2"],
    form: str = "code",
    *,
    axis_name: str | None = None,
) -> Float[Array, ""]:
    r"""Dissimilarity of the fields of a group's filters, mean over pairs, summed over groups.

    .. math:: D(\psi_1, \psi_2) = \frac{2\|\psi_1 - \psi_2\|_1}
              {\|\psi_1\|_1 + \|\psi_2\|_1 + \|\psi_1 - \psi_2\|_1}

    is 1 − IoU for masks of 0 and 1. Beware: constant maps, and so dead filters, have D = 0. It has a gradient, but
    no forward-mode derivative.

    Args:
      fields: of :func:`soft_receptive_field`.
      grouping: which filters belong together.
      pairs: of :func:`draw_pairs`; indices within a group, the same for all groups.
      form: ``"code"`` takes D of each image (norms over space) and averages over images, as the published code;
        ``"paper"`` takes norms over minibatch and space.
      axis_name: of the devices that share a minibatch; matters to ``"paper"``, whose norms are then over all of it.
        (``"code"`` is a mean over images; the mean of the devices' is that of them all.)

    Returns:
      A scalar in float32 or wider, between 0 and the number of groups.

    Raises:
      ValueError: if the form is none of the two, a known pair has no place in a group, the grouping does not fit, or
        fields or pairs are of another shape.

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021, Sec. 3.
    """
    return jnp.sum(group_dissimilarity(fields, grouping, pairs, form, axis_name=axis_name))


def group_dissimilarity(
    fields: Float[Array, "n h w c"],
    grouping: Grouping,
    pairs: Int[Array | np.ndarray, "pairs 2"],
    form: str = "code",
    *,
    axis_name: str | None = None,
) -> Float[Array, " groups"]:
    """The parts of :func:`group_activation_loss`: mean dissimilarity of the pairs of each group."""
    members = _members_first(fields, grouping)
    _check_pairs(pairs, len(members))
    return _mean_dissimilarity(members, jnp.asarray(pairs, jnp.int32), form, axis_name)


def group_repulsion_loss(
    fields: Float[Array, "n h w c"],
    grouping: Grouping,
    pairs: Int[Array | np.ndarray, "pairs 2"],
    form: str = "code",
    *,
    axis_name: str | None = None,
) -> Float[Array, ""]:
    """Similarity 1 − D of filters of different groups. Each pair (i, j) is filter i of a group and j of the next one.

    An ablation of ours, not published: it works against all groups' being active in one region, and against the
    collapse to constant maps, which the group activation loss does not see.

    Args:
      fields: of :func:`soft_receptive_field`.
      grouping: two groups or more.
      pairs: of :func:`draw_pairs`.
      form: as in :func:`group_activation_loss`.
      axis_name: as in :func:`group_activation_loss`.

    Returns:
      A scalar between 0 and 1 in float32 or wider.

    Raises:
      ValueError: as :func:`group_activation_loss`; if there is one group only.
    """
    members = _members_first(fields, grouping)
    size, groups = members.shape[:2]
    if groups < 2:
        raise ValueError("grouping: expected two groups or more for similarity between groups, not 1")
    _check_pairs(pairs, size)
    filters = members.reshape(size * groups, 1, *members.shape[2:])  # filter i of group g in row i·groups + g
    group = jnp.arange(groups, dtype=jnp.int32)[None]
    first, second = (jnp.asarray(pairs, jnp.int32)[:, side, None] * groups for side in (0, 1))
    across = jnp.stack([(first + group).ravel(), (second + (group + 1) % groups).ravel()], axis=1)
    return 1 - _mean_dissimilarity(filters, across, form, axis_name)[0]


def _members_first(fields: Float[Array, "n h w c"], grouping: Grouping) -> Float[Array, "members groups n positions"]:
    """The fields with each map contiguous: picking filters on the last axis is slow."""
    check_maps("fields", fields)
    check_grouping(grouping)
    if grouping.axis != "filters":
        raise ValueError(f"axis = {grouping.axis!r}: expected 'filters', which activation maps are of")
    n, height, width, channels = fields.shape
    smallest = min(grouping.sizes(channels))
    split = grouping.split(at_least_float32(fields).reshape(n, height * width, channels))[..., :smallest]
    return jnp.transpose(split, (3, 2, 0, 1))


def _check_pairs(pairs: Array | np.ndarray, size: int) -> None:
    check_shape("pairs", pairs, (None, 2), "[pairs, 2]")
    if isinstance(pairs, jax.core.Tracer):  # of draw_pairs, inside a step
        return
    values = np.asarray(pairs)
    if values.size == 0 or values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= size:
        raise ValueError(f"pairs: expected one pair or more of indices within a group, from 0 to {size - 1}")


@functools.partial(
    jax.jit, static_argnames=("form", "axis_name")
)  # so that it is compiled only once outside of a step too
def _mean_dissimilarity(
    filters: Float[Array, "rows groups n positions"], pairs: Pairs, form: str, axis_name: str | None
) -> Float[Array, " groups"]:
    """Mean of D over the pairs, for every group."""
    if form not in FORMS:
        raise ValueError(f"form = {form!r}: choose one of {', '.join(FORMS)}")
    return _with_gradient(filters, pairs, form, axis_name)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _with_gradient(filters: Array, pairs: Pairs, form: str, axis_name: str | None) -> Array:
    return _by_platform(filters, pairs, form=form, axis_name=axis_name, differentiate=False)[0]


def _forward(filters: Array, pairs: Pairs, form: str, axis_name: str | None) -> tuple[Array, Array]:
    # D of a pair is all of the loss that its maps are in, so its gradient is known while they are at hand.
    return _by_platform(filters, pairs, form=form, axis_name=axis_name, differentiate=True)


def _backward(form: str, axis_name: str | None, gradient: Array, cotangents: Array) -> tuple[Array, None]:
    if form == "paper" and axis_name is not None:  # each device's loss has the norms of all devices
        cotangents = jax.lax.psum(cotangents, axis_name)
    return gradient * cotangents[None, :, None, None], None


_with_gradient.defvjp(_forward, _backward)


def _by_platform(filters: Array, pairs: Pairs, **settings: Any) -> tuple[Array, Array]:
    # A CPU is best off with a pair at a time, which stays in its cache; others with all of them at once, and so is
    # whoever has to add each pair's norms up over devices.
    added_up = settings["form"] == "paper" and settings["axis_name"] is not None
    return jax.lax.platform_dependent(
        filters,
        pairs,
        cpu=functools.partial(_over_pairs, at_once=len(pairs) if added_up else 1, **settings),
        default=functools.partial(_over_pairs, at_once=len(pairs), **settings),
    )


def _over_pairs(
    filters: Array, pairs: Pairs, *, at_once: int, form: str, axis_name: str | None, differentiate: bool
) -> tuple[Array, Array]:
    """The mean of D for every group, and its gradient, of the shape of the filters, or 0 if that is not asked for."""
    sizes = jnp.sum(filters, axis=-1)
    count = len(pairs) * (filters.shape[2] if form == "code" else 1)

    def some(gradient: Array, chosen: Pairs) -> tuple[Array, Array]:
        first, second = chosen.T
        difference = filters[first] - filters[second]
        size, distance = sizes[first] + sizes[second], jnp.sum(jnp.abs(difference), axis=-1)
        if form == "paper":
            size, distance = (jnp.sum(own, axis=-1, keepdims=True) for own in (size, distance))
            if axis_name is not None:
                size, distance = jax.lax.psum((size, distance), axis_name)
        union = size + distance
        divisor = jnp.where(union > 0, union, 1)
        ratio = 2 * (distance / divisor)
        if differentiate:
            of_size = -ratio / divisor / count
            of_distance = jnp.where(union > 0, 2 / divisor, 0) / count + of_size
            pull, push = jnp.sign(difference) * of_distance[..., None], of_size[..., None]
            gradient = gradient.at[first].add(push + pull).at[second].add(push - pull)
        return gradient, jnp.sum(ratio, axis=(0, 2))

    nothing = jnp.zeros_like(filters) if differentiate else jnp.zeros((), filters.dtype)
    gradient, sums = jax.lax.scan(some, nothing, pairs.reshape(-1, at_once, 2))
    return jnp.sum(sums, axis=0) / count, gradient
