"""How fast networks run forward and train, beside plain torch in the same run.

Logits and the loss are compared before times are: torch gets our weights through ``models.export_torch``. Every round
times each of them once, one after the other; medians and the range of the ratio are given. A training step is loss,
gradients and SGD with momentum, no dropout.

Run:   python benchmarks/models.py            (--models resnet18 --rounds=3 --batch=8 for a quick look)
       python benchmarks/models.py --convolutions
Cost:  about five minutes on 2 cores. Without torch installed only ours is timed.
"""

import argparse
import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

from interpjax import models

SIDE, CLASSES, LEARNING_RATE = 224, 1000, 0.01
NAMES = ("alexnet", "resnet18")


def ours(name: str, images: np.ndarray, labels: np.ndarray) -> tuple[dict, Callable, Callable]:
    """Variables; a forward pass; and a training step, each of which is waited for."""
    model = models.create_model(name, num_classes=CLASSES, dropout=False)
    x, y = jnp.asarray(images), jnp.asarray(labels)
    variables = jax.jit(model.init)(jax.random.key(0), x[:1])
    optimizer = optax.sgd(LEARNING_RATE, momentum=0.9)

    def loss(params, statistics):
        logits, changed = model.apply({"params": params, **statistics}, x, train=True, mutable=["batch_stats"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), changed

    @jax.jit
    def step(params, statistics, state):
        (value, changed), gradients = jax.value_and_grad(loss, has_aux=True)(params, statistics)
        updates, state = optimizer.update(gradients, state)
        return value, (optax.apply_updates(params, updates), dict(changed), state)

    params = variables["params"]
    statistics = {key: value for key, value in variables.items() if key != "params"}
    held = [(params, statistics, optimizer.init(params))]

    def train() -> float:
        value, held[0] = step(*held[0])
        return float(value)

    forward = jax.jit(lambda variables: model.apply(variables, x))
    return variables, lambda: np.asarray(forward(variables)), train


def theirs(name: str, variables: dict, images: np.ndarray, labels: np.ndarray) -> tuple[Callable, Callable]:
    """The same in torch, with the same weights."""
    import models_peers
    import torch

    module = models_peers.PEERS[name](CLASSES)
    state = {key: torch.from_numpy(np.array(value)) for key, value in models.export_torch(name, variables).items()}
    missing, surplus = module.load_state_dict(state, strict=False)
    assert not surplus, surplus
    assert all(key.endswith("num_batches_tracked") for key in missing), missing
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    y = torch.from_numpy(labels.astype(np.int64))
    optimizer = torch.optim.SGD(module.parameters(), LEARNING_RATE, momentum=0.9)

    def forward() -> np.ndarray:
        module.eval()
        with torch.inference_mode():
            return module(x).numpy()

    def train() -> float:
        module.train()
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(module(x), y)
        value.backward()
        optimizer.step()
        return float(value.detach())

    return forward, train


def compare(name: str, batch: int, rounds: int) -> dict[str, object]:
    """A column of the table."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, SIDE, SIDE, 3)).astype(np.float32)
    labels = rng.integers(0, CLASSES, batch).astype(np.int32)
    variables, forward, train = ours(name, images, labels)
    timed = {"forward": {"ours": forward}, "train": {"ours": train}}
    if has_torch():
        peer_forward, peer_train = theirs(name, variables, images, labels)
        expected = peer_forward()
        np.testing.assert_allclose(forward(), expected, atol=1e-4 * np.abs(expected).max())
        np.testing.assert_allclose(train(), peer_train(), rtol=1e-4)
        timed["forward"]["torch"], timed["train"]["torch"] = peer_forward, peer_train
    column: dict[str, object] = {}
    for what, functions in timed.items():
        seconds: dict[str, list[float]] = {own: [] for own in functions}
        for function in functions.values():
            function()
        for _ in range(rounds):
            for own, function in functions.items():
                seconds[own].append(_time(function))
        for own, values in seconds.items():
            column[f"{what}, {own}, images/s"] = f"{batch / np.median(values):.1f}"
        if "torch" in seconds:
            ratios = np.array(seconds["torch"]) / np.array(seconds["ours"])
            column[f"{what}, ours / torch"] = f"{np.median(ratios):.2f} ({ratios.min():.2f}–{ratios.max():.2f})"
    return column


# side of the map, inputs, filters, kernel, stride: of ResNet-18
CONVOLUTIONS = ((224, 3, 64, 7, 2), (56, 64, 64, 3, 1), (28, 128, 128, 3, 1), (14, 256, 256, 3, 1), (7, 512, 512, 3, 1))


def convolution(shape: tuple[int, ...], batch: int, rounds: int) -> dict[str, str]:
    """A row of the table of what a convolution and its two gradients take, in ms."""
    side, inputs, filters, kernel, stride = shape
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(batch, side, side, inputs)).astype(np.float32))
    w = jnp.asarray(rng.normal(size=(kernel, kernel, inputs, filters)).astype(np.float32))

    def forward(x: jax.Array, w: jax.Array) -> jax.Array:
        padding, names = [(kernel // 2, kernel // 2)] * 2, ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=names)

    y = forward(x, w)
    parts: dict[str, Callable] = {
        "forward": lambda x, w, y: forward(x, w),
        "gradient of the maps": lambda x, w, y: jax.vjp(lambda x: forward(x, w), x)[1](y),
        "gradient of the kernel": lambda x, w, y: jax.vjp(lambda w: forward(x, w), w)[1](y),
    }
    row = {"convolution": f"{side}×{side}×{inputs}, {kernel}×{kernel}×{filters}, stride {stride}"}
    for name, part in parts.items():
        compiled = jax.jit(part).lower(x, w, y).compile()
        waited = functools.partial(_waited, compiled, x, w, y)
        waited()
        row[name] = f"{1000 * np.median([_time(waited) for _ in range(rounds)]):.0f}"
    return row


def has_torch() -> bool:
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


def _waited(function: Callable, *arguments: jax.Array) -> None:
    jax.block_until_ready(function(*arguments))


def _time(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--convolutions", action="store_true", help="single convolutions of ResNet-18 instead")
    arguments = parser.parse_args()
    if arguments.convolutions:
        rows = [convolution(shape, arguments.batch, arguments.rounds) for shape in CONVOLUTIONS]
        print(pd.DataFrame(rows).to_string(index=False))
        return
    table = {name: compare(name, arguments.batch, arguments.rounds) for name in arguments.models}
    print(pd.DataFrame(table).to_string())


if __name__ == "__main__":
    main()
