"""What a run says of its groups: in the metrics, in the summary, in the report."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import tiny

import interpjax
from interpjax import models
from interpjax import regularizers as reg
from interpjax.training import diagnostics
from interpjax.training.metrics import read_metrics


@pytest.fixture(scope="module")
def proximal(tmp_path_factory):
    """Two groups of four filters in conv1, four in conv2, and so strong a penalty that they go."""
    workdir = tmp_path_factory.mktemp("runs") / "prox"
    config = tiny.tiny_config("two_figures_prox", regularizer__block_norm__strength=8.0)
    return workdir, interpjax.run(config, workdir)


@pytest.mark.long
def test_proximal_training_ends_with_groups_that_are_exactly_zero(proximal):
    workdir, summary = proximal
    _, _, variables = interpjax.load(workdir)
    rows = [row for row in read_metrics(workdir / "metrics.jsonl") if "loss" in row]
    gone = 0
    for layer, count in (("conv1", 2), ("conv2", 4)):
        kernel = variables["params"][layer]["kernel"]
        norms = np.linalg.norm(np.asarray(kernel, np.float64).reshape(-1, count, 4), axis=(0, 2))
        np.testing.assert_allclose(summary["groups"][layer]["relevance"], norms, rtol=1e-5)
        assert summary["groups"][layer]["zero_groups"] == (norms == 0).mean()
        shares = [row[f"groups/zero_groups/{layer}"] for row in rows]
        assert shares[-1] == (norms == 0).mean()
        gone += (norms == 0).sum()
    assert gone > 0
    assert rows[0]["groups/zero_groups/conv1"] < 1


@pytest.mark.long
def test_report_draws_the_groups_over_training(proximal):
    workdir, summary = proximal
    rows = [row for row in read_metrics(workdir / "metrics.jsonl") if "loss" in row]
    drawn = pd.read_csv(workdir / "figures" / "groups_over_training.csv")
    assert drawn["groups/zero_groups/conv1"].tolist() == [row["groups/zero_groups/conv1"] for row in rows]
    page = (workdir / "report.html").read_text()
    for text in ("share of zero groups", "conv2: norm of each group"):
        assert text in page
    assert f"{summary['groups']['conv1']['zero_groups']:.0%}" in page


def random_variables(model, image_size):
    """Of the right shapes, all positive, as variances are."""
    rng = np.random.default_rng(0)
    shapes = models.outline(model, image_size).variables
    return jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(0.1, 1, leaf.shape), leaf.dtype), dict(shapes))


def test_folded_relevance_where_batch_norm_is():
    config = tiny.tiny_config("places365_cgl", model__name="alexnet_b")
    model = models.create_model("alexnet_b", num_classes=2, width=0.125)
    variables = random_variables(model, 64)
    found = jax.device_get(jax.jit(tiny.diagnostics(config, model, 64).of_weights)(variables))
    assert set(found) == set(models.outline(model, 64).convolutions)
    folded = reg.group_relevance(variables, reg.Grouping(), batch_norms=models.outline(model, 64).batch_norms)
    for layer in models.outline(model, 64).convolutions:
        np.testing.assert_allclose(found[layer]["folded_relevance"], folded[layer], rtol=1e-6)
        assert (found[layer]["relevance"] != found[layer]["folded_relevance"]).any()


def test_layers_that_the_grouping_does_not_fit_have_none():
    model = models.create_model("two_figures_cnn", num_classes=2, width=0.0625)  # 8 and 16 filters
    variables = random_variables(model, 40)
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8))
    config = tiny.tiny_config(regularizer__grouping__num_groups=9)
    assert set(tiny.diagnostics(config, model, 40).of_weights(variables)) == {"conv2"}
    maps = jax.jit(tiny.diagnostics(config, model, 40).of_maps)(variables, images)
    assert set(maps["conv1"]) == set(maps["conv2"]) == {"dead_filters"}  # groups of conv2 are of one filter
    config = tiny.tiny_config(regularizer__grouping__num_groups=4)
    maps = jax.jit(tiny.diagnostics(config, model, 40).of_maps)(variables, images)
    assert set(maps["conv1"]) == {"dead_filters", "within_similarity", "between_similarity"}
    assert 0 < maps["conv1"]["within_similarity"] < 1


def test_norms_of_many_groups_are_no_metrics():
    norms = {"few": {"relevance": np.ones(16), "hoyer": 0.5}, "many": {"relevance": np.ones(17), "hoyer": 0.25}}
    metrics = diagnostics.as_metrics(norms)
    assert {name for name in metrics if name.startswith("group_norm")} == {f"group_norm/few/{n}" for n in range(1, 17)}
    assert (metrics["groups/hoyer/few"], metrics["groups/hoyer/many"]) == (0.5, 0.25)


def test_norms_are_those_of_the_configured_block_norm():
    model = models.create_model("two_figures_cnn", num_classes=2, width=0.0625)
    variables = random_variables(model, 40)
    kernel = variables["params"]["conv2"]["kernel"].at[:, :, :2].set(0)  # the first of four groups of inputs
    variables["params"]["conv2"]["kernel"] = kernel
    config = tiny.tiny_config(
        regularizer__grouping__num_groups=4, regularizer__block_norm__axis="inputs", regularizer__block_norm__p=1.0
    )
    found = tiny.diagnostics(config, model, 40).of_weights(variables)
    assert set(found) == {"conv2"}  # conv1 has three inputs
    assert found["conv2"]["zero_groups"] == 0.25
    np.testing.assert_allclose(found["conv2"]["relevance"][1], np.abs(kernel[:, :, 2:4]).sum(), rtol=1e-5)
