"""The proximal step as an optimizer: by hand, in training, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from interpjax import regularizers as reg

G3 = reg.Grouping(num_groups=3)
RNG = np.random.default_rng(0)
PARAMS = {
    "conv1": {"kernel": jnp.asarray(RNG.normal(size=(2, 2, 2, 6)), jnp.float32), "bias": jnp.ones(6)},
    "conv2": {"kernel": jnp.asarray(RNG.normal(size=(1, 1, 6, 7)), jnp.float32)},
    "fc": {"kernel": jnp.asarray(RNG.normal(size=(7, 3)), jnp.float32)},
}
GRADIENTS = jax.tree.map(lambda x: jnp.asarray(RNG.normal(size=x.shape), jnp.float32), PARAMS)


def steps(optimizer, count, params=PARAMS, **extra):
    memory = optimizer.init(params)
    for _ in range(count):
        updates, memory = optimizer.update(GRADIENTS, memory, params, **extra)
        params = optax.apply_updates(params, updates)
    return params


def shrink(kernel, strength, sizes=(2, 2, 2)):
    """The proximal operator of (2, 1), group by group in float64."""
    kernel, start = np.array(kernel, np.float64), 0
    for size in sizes:
        group = kernel[..., start : start + size]
        norm = np.linalg.norm(group)
        kernel[..., start : start + size] = group * max(0, 1 - strength / norm)
        start += size
    return kernel


def test_sgd_becomes_the_proximal_gradient_step():
    found = steps(reg.proximal_block_norm(0.1, 3.0, G3, optimizer=optax.sgd(0.1)), 1)
    expected = shrink(PARAMS["conv1"]["kernel"] - 0.1 * GRADIENTS["conv1"]["kernel"], 0.3)
    np.testing.assert_allclose(found["conv1"]["kernel"], expected, rtol=1e-5, atol=1e-7)
    free = PARAMS["conv2"]["kernel"][..., 6] - 0.1 * GRADIENTS["conv2"]["kernel"][..., 6]
    np.testing.assert_allclose(found["conv2"]["kernel"][..., 6], free, rtol=1e-6)
    for path in (("conv1", "bias"), ("fc", "kernel")):
        param, gradient = PARAMS[path[0]][path[1]], GRADIENTS[path[0]][path[1]]
        np.testing.assert_allclose(found[path[0]][path[1]], param - 0.1 * gradient, rtol=1e-6)


def test_momentum_and_schedules_match_a_loop_by_hand():
    rate, strength = (lambda n: 0.1 / (1 + n)), (lambda n: 2.0 * n)
    rates, strengths = ((lambda n, of=of: of(n.astype(jnp.float32))) for of in (rate, strength))
    found = steps(reg.proximal_block_norm(rates, strengths, G3, optimizer=optax.sgd(rates, momentum=0.9)), 4)
    kernel, velocity = np.array(PARAMS["conv1"]["kernel"], np.float64), 0.0
    for n in range(4):
        velocity = 0.9 * velocity + np.array(GRADIENTS["conv1"]["kernel"], np.float64)
        kernel = shrink(kernel - rate(n) * velocity, rate(n) * strength(n))
    np.testing.assert_allclose(found["conv1"]["kernel"], kernel, rtol=1e-5, atol=1e-6)


def test_groups_become_exactly_zero_and_stay_so():
    still = jax.tree.map(jnp.zeros_like, GRADIENTS)
    optimizer = reg.proximal_block_norm(0.5, 1.0, G3, layers=("conv1",), optimizer=optax.sgd(0.5))
    params, memory, shares = PARAMS, optimizer.init(PARAMS), []
    for _ in range(12):
        updates, memory = optimizer.update(still, memory, params)
        params = optax.apply_updates(params, updates)
        shares.append(float(reg.zero_group_share(reg.group_norms(params["conv1"]["kernel"], G3))))
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    np.testing.assert_array_equal(params["conv1"]["kernel"], 0.0)
    np.testing.assert_array_equal(params["conv2"]["kernel"], PARAMS["conv2"]["kernel"])


def test_dense_layers_by_request():
    groupings = {"fc": reg.Grouping(num_groups=3), "*": None}
    found = steps(reg.proximal_block_norm(1.0, 1e6, groupings, dense=True, optimizer=optax.sgd(1.0)), 1)
    assert not found["fc"]["kernel"].any()
    assert found["conv1"]["kernel"].all()


def test_steps_of_layers_and_groups():
    still = optax.set_to_zero()
    transform = optax.chain(still, reg.proximal_block_norm(0.0, 1.0, G3))
    sizes = {"conv1": jnp.array([0.0, 0.1, 100.0]), "conv2": 0.2}
    found = steps(transform, 1, step_sizes=sizes)
    kernel = PARAMS["conv1"]["kernel"]
    np.testing.assert_array_equal(found["conv1"]["kernel"][..., :2], kernel[..., :2])
    expected = shrink(kernel[..., 2:4], 0.1, sizes=(2,))
    np.testing.assert_allclose(found["conv1"]["kernel"][..., 2:4], expected, rtol=1e-5)
    assert not found["conv1"]["kernel"][..., 4:].any()
    expected = shrink(PARAMS["conv2"]["kernel"], 0.2)
    np.testing.assert_allclose(found["conv2"]["kernel"], expected, rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match="step_sizes: no layer 'conv9'; choose from conv1, conv2"):
        steps(transform, 1, step_sizes={"conv9": 0.1})


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adam(0.1),
        optax.rmsprop(0.1),
        optax.sign_sgd(0.1),
        optax.adagrad(0.1),
        optax.chain(optax.clip(0.1), optax.sgd(0.1)),
        optax.noisy_sgd(0.1, key=0),
    ],
)
@pytest.mark.parametrize(
    "how", ["eval_shape", *(pytest.param(how, marks=pytest.mark.long) for how in ("plain", "jit"))]
)
def test_optimizers_without_one_step_size_are_refused(optimizer, how):
    init = reg.proximal_block_norm(0.1, 1.0, G3, optimizer=optimizer).init
    call = {"plain": init, "jit": jax.jit(init), "eval_shape": lambda p: jax.eval_shape(init, p)}[how]
    message = "step on conv1/kernel is not the gradient times one number for all"
    with jax.numpy_dtype_promotion("standard"), pytest.raises(ValueError, match=message):  # optax counts in int32
        call(PARAMS)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.sgd(0.1, momentum=0.9, nesterov=True),
        optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.1)),
        optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(lambda n: 0.1)),
        optax.multi_transform(
            {"sgd": optax.sgd(0.1), "adam": optax.adam(0.1)},
            {"conv1": "sgd", "conv2": "sgd", "fc": "adam"},
        ),
    ],
)
def test_optimizers_of_one_step_size_are_taken(optimizer):
    chained = reg.proximal_block_norm(0.1, 1e6, G3, optimizer=optimizer)
    with jax.numpy_dtype_promotion("standard"):  # as optax's Adam expects
        jax.eval_shape(chained.init, PARAMS)
        found = steps(chained, 1)
    assert not found["conv1"]["kernel"].any()
    assert found["fc"]["kernel"].all()


@pytest.mark.parametrize("value", [-0.1, np.nan, "0.1"])
@pytest.mark.parametrize("name", ["strength", "learning_rate"])
def test_negative_strengths_and_rates_are_refused_as_they_were_given(untyped, name, value):
    given = {"learning_rate": 0.5, "strength": 1.0}
    with pytest.raises(ValueError, match=f"^{name} = {value!r}: expected 0 or more"):
        reg.proximal_block_norm(**(given | {name: value}), grouping=G3)
    transform = reg.proximal_block_norm(**(given | {name: lambda n: value}), grouping=G3)
    with pytest.raises(ValueError, match=f"^{name} at step 0 = {value!r}: expected 0 or more"):
        transform.update(GRADIENTS, transform.init(PARAMS), PARAMS)
    transform = reg.proximal_block_norm(**given, grouping=G3)
    with pytest.raises(ValueError, match=r"^step_sizes\['conv1'\] = -2.0: expected 0 or more"):
        transform.update(GRADIENTS, transform.init(PARAMS), PARAMS, step_sizes={"conv1": -2.0})


def test_all_variables_of_a_network_are_stepped_as_its_parameters():
    optimizer = reg.proximal_block_norm(0.1, 3.0, G3, optimizer=optax.sgd(0.1))
    variables = {"params": PARAMS}
    updates, _ = optimizer.update({"params": GRADIENTS}, optimizer.init(variables), variables)
    expected = steps(optimizer, 1)
    jax.tree.map(np.testing.assert_array_equal, optax.apply_updates(variables, updates)["params"], expected)


def test_refuses_what_cannot_be():
    with pytest.raises(ValueError, match=r"p = 4, q = 2, form = 'norm': no proximal operator; expected form norm"):
        reg.proximal_block_norm(0.1, 1.0, G3, p=4, q=2)
    with pytest.raises(ValueError, match="layer conv1: num_groups = 7: the layer has only 6 filters"):
        reg.proximal_block_norm(0.1, 1.0, reg.Grouping(num_groups=7)).init(PARAMS)
    transform = reg.proximal_block_norm(0.1, 1.0, G3)
    with pytest.raises(ValueError, match="layer conv1: strength of each group: 2 strengths; expected one number, or 3"):
        transform.update(GRADIENTS, transform.init(PARAMS), PARAMS, step_sizes={"conv1": jnp.ones(2)})
    with pytest.raises(ValueError, match="params = None: expected the parameters"):
        transform.update(GRADIENTS, transform.init(PARAMS))


def test_it_finds_the_minimum_of_least_squares_and_block_norm():
    inputs, targets = jnp.asarray(RNG.normal(size=(40, 8)), jnp.float32), jnp.asarray(RNG.normal(size=40), jnp.float32)
    strength, grouping = 9.0, reg.Grouping(num_groups=4)

    def loss(params):
        return 0.5 * jnp.sum((inputs @ params["conv"]["kernel"][0, 0] - targets) ** 2)

    params = {"conv": {"kernel": jnp.zeros((1, 1, 8))}}
    optimizer = reg.proximal_block_norm(0.01, strength, grouping, optimizer=optax.sgd(0.01))
    memory = optimizer.init(params)

    @jax.jit
    def step(params, memory):
        updates, memory = optimizer.update(jax.grad(loss)(params), memory, params)
        return optax.apply_updates(params, updates), memory

    for _ in range(400):
        params, memory = step(params, memory)
    gradient, kernel = (
        np.asarray(tree["conv"]["kernel"])[0, 0].reshape(4, 2) for tree in (jax.grad(loss)(params), params)
    )
    norms = np.linalg.norm(kernel, axis=1)
    assert 0 < (norms == 0).sum() < 4
    for pull, group, norm in zip(gradient, kernel, norms, strict=True):
        if norm == 0:
            assert np.linalg.norm(pull) <= strength * (1 + 1e-5)
        else:
            np.testing.assert_allclose(pull, -strength * group / norm, rtol=1e-3, atol=1e-3)  # float32 sums of 40
