"""What the regularizers cost: a training step of AlexNet with each, over the same step with weight decay alone.

Times are paired: in every round weight decay alone and the variant take a step each, and a round gives one ratio.
Memory is what XLA plans for the compiled step, besides its arguments and results. With torch installed, the published
forms – loops over layers and groups, written anew in regularizers_torch.py – are timed on activations and kernels
of the same shapes, term by term beside ours (value and gradient), after both were found to give the same.

Run:   python benchmarks/regularizers.py            (--image-size=63 --batch-size=4 --rounds=2 for a quick look)
Cost:  about ten minutes on 2 cores, 6 GB.
"""

import argparse
import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

import interpjax
from interpjax import config as config_lib
from interpjax import models, parallel
from interpjax import regularizers as reg
from interpjax.prepare import read_preprocessing
from interpjax.prepare.recipes import read_block_norm, read_grouping, read_recipe
from interpjax.training.state import create_train_state
from interpjax.training.step import make_train_step

NUM_GROUPS = 5
GROUPING = reg.Grouping(num_groups=NUM_GROUPS)
LAYERS: tuple[tuple[int, int, int, int], ...] = (
    (55, 11, 3, 64),
    (27, 5, 64, 192),
    (13, 3, 192, 384),
    (13, 3, 384, 256),
    (13, 3, 256, 256),
)  # side, kernel
OUR_TERMS: dict[str, Callable[[list, list], Any]] = {
    "block norm": lambda kernels, _: sum(reg.block_norm(w, GROUPING) for w in kernels),
    "group activation": lambda maps, pairs: sum(
        reg.group_activation_loss(reg.soft_receptive_field(a), GROUPING, i) for a, i in zip(maps, pairs, strict=True)
    ),
    "spatial": lambda maps, _: sum(reg.spatial_loss(reg.soft_receptive_field(a)) for a in maps),
}
CGL = {"block_norm": 5e-3, "group_activation": 1e-2, "spatial": 1e-2}
VARIANTS: dict[str, dict[str, float]] = {
    "weight decay": {"weight_decay": 1e-4},
    "block norm": {"block_norm": 5e-3},
    "group activation": {"weight_decay": 1e-4, "group_activation": 1e-2},
    "spatial": {"weight_decay": 1e-4, "spatial": 1e-2},
    "all three (CGL)": CGL,
    "soft orthogonality": {"weight_decay": 1e-4, "soft_orthogonality": 1e-3},
    "exclusive lasso": {"weight_decay": 1e-4, "exclusive_lasso": 1e-6},
    "group repulsion": {"weight_decay": 1e-4, "group_repulsion": 1e-2},
    "proximal block norm": {"block_norm": 5e-3},
}


class Variant:
    """A compiled training step with some terms, and its state."""

    def __init__(self, name: str, model: Any, batch: dict[str, np.ndarray]):
        fields: dict[str, Any] = {f"regularizer.{term}.strength": strength for term, strength in VARIANTS[name].items()}
        fields |= {"regularizer.block_norm.proximal": name.startswith("proximal")}
        off = {f"regularizer.{term}.strength": 0.0 for term in config_lib.TERMS}
        fields |= {"data.image_size": batch["image"].shape[1], "optimizer.schedule": "constant"}
        config = config_lib.override(interpjax.get_config("places365_wd"), off | fields)
        grouping, preprocessing = read_grouping(config), read_preprocessing(config)
        recipe = read_recipe(config, model, read_block_norm(config, grouping), grouping)
        rate = optax.constant_schedule(1e-3)
        optimizer = recipe.optimizer.optimizer(rate, total=1)
        state = create_train_state(model, optimizer, image_size=config.data.image_size, seed=0)
        step: Any = make_train_step(
            model, optimizer, recipe.objective, preprocessing=preprocessing, learning_rate=rate, seed=0
        )
        self.state, self.batch = parallel.replicate(state), parallel.put_batch(batch)
        self.step = step.lower(self.state, self.batch).compile()
        self.memory = temporary_bytes(self.step)

    def seconds(self) -> float:
        """Takes a step and waits for it."""
        start = time.perf_counter()
        self.state, metrics = self.step(self.state, self.batch)
        jax.block_until_ready((self.state, metrics))
        return time.perf_counter() - start


def time_steps(names: list[str], batch_size: int, image_size: int, rounds: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (batch_size, image_size, image_size, 3), dtype=np.uint8)
    batch: dict[str, np.ndarray] = {"image": image, "label": rng.integers(0, 365, batch_size).astype(np.int32)}
    model = models.create_model("alexnet", num_classes=365, axis_name=parallel.AXIS)
    decay = Variant("weight decay", model, batch)
    decay.seconds()  # the first step touches its memory
    return pd.DataFrame({name: compare(decay, Variant(name, model, batch), rounds) for name in names}).T


def compare(decay: Variant, variant: Variant, rounds: int) -> dict[str, float | str]:
    """Both take a step in every round, in turns first: no more than two networks are in memory."""
    variant.seconds()
    pairs = []
    for number in range(rounds):
        first, second = (decay, variant) if number % 2 else (variant, decay)
        times = {first: first.seconds(), second: second.seconds()}
        pairs.append((times[decay], times[variant]))
    table = np.array(pairs)
    ratios = table[:, 1] / table[:, 0]
    low, high = np.quantile(ratios, [0.25, 0.75])
    return {
        "weight decay, s": round(float(np.median(table[:, 0])), 3),
        "with it, s": round(float(np.median(table[:, 1])), 3),
        "ratio (median of rounds)": round(float(np.median(ratios)), 3),
        "quartiles": f"{low:.3f}–{high:.3f}",
        "ratio of minima": round(float(table[:, 1].min() / table[:, 0].min()), 3),
        "temporary MB": round(variant.memory / 1e6),
        "with weight decay": round(decay.memory / 1e6),
    }


def peers(batch_size: int, rounds: int) -> pd.DataFrame:
    """Value and gradient of each term on arrays of AlexNet's shapes, ours and in torch, taken in turn."""
    from regularizers_torch import TORCH_TERMS, set_threads  # only here is torch needed

    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(batch_size, side, side, c)).astype(np.float32) for side, _, _, c in LAYERS]
    kernels = [0.02 * rng.normal(size=(k, k, i, o)).astype(np.float32) for (_, k, i, o) in LAYERS]
    pairs = [np.asarray(reg.draw_pairs(jax.random.key(n), GROUPING, c)) for n, (_, _, _, c) in enumerate(LAYERS)]
    rows: dict[str, dict[str, float]] = {}
    for name, ours in OUR_TERMS.items():
        arrays = kernels if name == "block norm" else maps
        compiled = jax.jit(jax.value_and_grad(ours)).lower(arrays, pairs).compile()
        inputs = jax.tree.map(jnp.asarray, (arrays, pairs))
        peer = TORCH_TERMS[name](arrays, pairs, NUM_GROUPS)
        check_equal(name, compiled(*inputs), peer())
        times = []
        for _ in range(rounds):
            ours_seconds, theirs = seconds(lambda: compiled(*inputs)), []  # noqa: B023
            for threads in {1, os.cpu_count() or 1}:  # small operations are faster on one
                set_threads(threads)
                theirs.append(seconds(peer))
            times.append((ours_seconds, min(theirs)))
        table = np.array(times)
        rows[name] = {
            "ours, ms": 1e3 * np.median(table[:, 0]),
            "torch, ms": 1e3 * np.median(table[:, 1]),
            "torch over ours": np.median(table[:, 1] / table[:, 0]),
            "our temporary MB": temporary_bytes(compiled) / 1e6,
        }
    return pd.DataFrame(rows).T.round(2)


def check_equal(name: str, ours: Any, theirs: tuple[float, list[np.ndarray]]) -> None:
    """Raises AssertionError unless both give one value and one gradient."""
    value, gradients = jax.tree.map(np.asarray, ours)
    np.testing.assert_allclose(value, theirs[0], rtol=1e-4, err_msg=name)
    for mine, other in zip(gradients, theirs[1], strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(mine / scale, other / scale, atol=1e-3, err_msg=name)  # float32 sums of 1e5 terms


def temporary_bytes(compiled: Any) -> int:
    """What a compiled function needs besides its arguments and results."""
    return compiled.memory_analysis().temp_size_in_bytes


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    arguments = parser.parse_args()
    table = time_steps(arguments.variants, arguments.batch_size, arguments.image_size, arguments.rounds)
    print(f"training step of AlexNet, batch {arguments.batch_size}, {arguments.image_size}²\n{table.to_string()}\n")
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed: no peers (pip install torch)")
    else:
        print(f"value and gradient, AlexNet's five layers at 224²\n{peers(arguments.batch_size, arguments.rounds)}")


if __name__ == "__main__":
    main()
