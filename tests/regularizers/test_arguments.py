"""What is said to arguments of a wrong kind or shape, without the type checker that the other tests run under."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import regularizers as reg

KERNEL = jnp.asarray(np.random.default_rng(0).normal(size=(2, 2, 3, 8)), jnp.float32)
PARAMS = {"conv1": {"kernel": KERNEL}}
MAPS = jnp.ones((2, 4, 4, 8))
PAIRS = np.array([[0, 1]])
G2 = reg.Grouping(num_groups=2)

pytestmark = pytest.mark.usefixtures("untyped")


@pytest.mark.parametrize(
    "function",
    [
        lambda w: reg.group_norms(w, G2),
        lambda w: reg.block_norm(w, G2),
        lambda w: reg.prox_block_norm(w, 0.1, G2),
        lambda w: reg.exclusive_lasso(w, G2),
        reg.soft_orthogonality,
    ],
)
@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (KERNEL.astype(jnp.int32), "kernel: of dtype int32; expected floating-point weights"),
        (jnp.float32(1), r"kernel: shape \(\); expected the filters on the last axis"),
        (PARAMS, "kernel: a dict; expected one layer's kernel"),
        ([1.0, 2.0], "kernel: a list; expected one layer's kernel"),
    ],
)
def test_kernels(function, kernel, message):
    with pytest.raises(ValueError, match=message):
        function(kernel)


def test_integer_kernels_of_a_network_are_named():
    integers = jax.tree.map(lambda w: w.astype(jnp.int8), PARAMS)
    for function in (reg.block_norm_penalty, reg.group_relevance):
        with pytest.raises(ValueError, match="layer conv1: kernel: of dtype int8"):
            function(integers, G2)


@pytest.mark.parametrize("grouping", [5, None, (("conv1", 8),)])
def test_groupings_of_a_wrong_kind(grouping):
    for function in (
        lambda: reg.block_norm(KERNEL, grouping),
        lambda: reg.prox_block_norm(KERNEL, 0.1, grouping),
        lambda: reg.block_norm_penalty(PARAMS, grouping),
        lambda: reg.proximal_block_norm(0.1, 0.1, grouping),
        lambda: reg.group_activation_loss(MAPS, grouping, PAIRS),
        lambda: reg.draw_pairs(jax.random.key(0), grouping, 8),
    ):
        with pytest.raises(ValueError, match=r"grouping = .*: expected a Grouping"):
            function()


def test_mappings_are_of_networks_and_hold_groupings():
    with pytest.raises(ValueError, match=r"grouping = \{.*\}: expected a Grouping, such as"):
        reg.prox_block_norm(KERNEL, 0.1, {"conv1": G2})
    for function in (reg.block_norm_penalty, lambda _, grouping: reg.proximal_block_norm(0.1, 0.1, grouping)):
        with pytest.raises(ValueError, match=r"grouping\['conv1'\] = 8: expected a Grouping, or None"):
            function(PARAMS, {"conv1": 8})


@pytest.mark.parametrize("value", ["2", jnp.array(2.0), None])
def test_exponents_are_python_numbers(value):
    for name in ("p", "q"):
        for function, given in ((reg.block_norm_penalty, PARAMS), (reg.block_norm, KERNEL)):
            with pytest.raises(ValueError, match=f"^{name} = .*: expected a Python number"):
                function(given, G2, **{name: value})
        with pytest.raises(ValueError, match=f"^{name} = .*: expected a Python number"):
            reg.prox_block_norm(KERNEL, 0.1, G2, **{name: value})
    assert reg.block_norm(KERNEL, G2, p=np.float32(2)) == reg.block_norm(KERNEL, G2)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("activations", reg.soft_receptive_field),
        ("activations", reg.dead_filters),
        ("fields", reg.spatial_loss),
        ("fields", lambda maps: reg.group_activation_loss(maps, G2, PAIRS)),
        ("fields", lambda maps: reg.group_dissimilarity(maps, G2, PAIRS)),
        ("fields", lambda maps: reg.group_repulsion_loss(maps, G2, PAIRS)),
        ("fields", lambda maps: reg.group_similarities(maps, G2, PAIRS)),
    ],
)
def test_activation_maps(name, function):
    function(MAPS)
    for maps in (MAPS[0], MAPS[None], MAPS[:, 0, 0]):
        with pytest.raises(ValueError, match=rf"{name}: shape .*; expected \[images, height, width, filters\]"):
            function(maps)
        with pytest.raises(ValueError, match=f"{name}: shape"):
            jax.jit(function)(maps)
    with pytest.raises(ValueError, match=f"{name}: of dtype uint8; expected floating-point maps"):
        function(MAPS.astype(jnp.uint8))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: reg.soft_receptive_field(MAPS, shift=jnp.ones(8)), r"shift: shape \(8,\); expected one number"),
        (lambda: reg.soft_receptive_field(MAPS, scale=jnp.ones(8)), r"scale: shape \(8,\); expected one number"),
        (
            lambda: reg.soft_receptive_field(MAPS, batch_norm_scale=jnp.ones(1)),
            r"batch_norm_scale: shape \(1,\); expected \(8,\), one for each filter",
        ),
        (lambda: reg.hoyer_sparsity(jnp.ones((2, 3))), r"norms: shape \(2, 3\); expected \[groups\]"),
        (lambda: reg.group_activation_loss(MAPS, G2, PAIRS[0]), r"pairs: shape \(2,\); expected \[pairs, 2\]"),
        (lambda: reg.group_repulsion_loss(MAPS, G2, PAIRS[:, [0, 1, 0]]), r"pairs: shape \(1, 3\); expected"),
        (
            lambda: reg.group_activation_loss(MAPS, G2, PAIRS + 0.5),
            "pairs: expected one pair or more of indices within",
        ),
        (
            lambda: reg.draw_pairs(jax.random.key(0), reg.Grouping(num_groups=8), 8),
            "8 groups of 8 filters: each group has a single filter, and no pairs: use fewer groups",
        ),
        (
            lambda: reg.draw_pairs(jax.random.key(0), reg.Grouping(indices=[[0], [1, 2]]), 8),
            "2 groups of 8 filters: one group has a single filter",
        ),
    ],
)
def test_shapes_and_pairs(function, message):
    with pytest.raises(ValueError, match=message):
        function()
