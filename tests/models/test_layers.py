"""What is known of the layers of any flax module, and the maps that it offers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filling import filled

from interpjax import models

IMAGES = jnp.asarray(np.random.default_rng(0).normal(size=(2, 12, 16, 3)), jnp.float32)


class Block(nn.Module):
    filters: int

    @nn.compact
    def __call__(self, x, train):
        own = lambda name: "/".join((*self.path, name))  # noqa: E731
        conv = nn.Conv(self.filters, (3, 3), name="conv")(x)
        norm = nn.BatchNorm(use_running_average=not train, name="bn")(conv)
        post = nn.relu(norm + 1)
        models.offer(self, own("conv"), behind=own("bn"), conv=conv, norm=norm, pre=norm + 1, post=post)
        return post


class Nested(nn.Module):
    """A module as users write them: the offers alone are of this package, and their order is no alphabet's."""

    num_classes: int
    settings: dict = None
    remat: bool = False

    @nn.compact
    def __call__(self, images, *, train):
        block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        pre = nn.Conv(4, (3, 3), strides=2, name="stem")(images)
        x = nn.relu(pre)
        models.offer(self, "stem", pre=pre, post=x)
        x = block(5, name="second")(x, train)
        models.offer(self, "second", post=x)
        x = block(6, name="first")(x, train)
        x = nn.Dropout(0.5, deterministic=not train)(x.mean(axis=(1, 2)))
        return nn.Dense(self.num_classes)(x)


class Plain(nn.Module):
    num_classes: int
    axis_name: str | None = "devices"
    twice: bool = False
    stage: str = "post"
    given: str = "logits"

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.Conv(4, (3, 3))(images)
        if self.twice:
            for _ in range(2):
                models.offer(self, "Conv_0", post=x)
        if self.stage != "post":
            models.offer(self, "Conv_0", **{self.stage: x})
        if self.given == "maps":
            return nn.Conv(self.num_classes, (1, 1))(x)
        logits = nn.Dense(self.num_classes)(x.mean(axis=(1, 2)))
        return (logits, x) if self.given == "pair" else logits


@pytest.fixture(scope="module")
def nested():
    model = Nested(num_classes=3)
    return model, filled(models.outline(model, (12, 16)).variables)


@pytest.mark.parametrize("remat", [False, True])
def test_the_outline_of_nested_modules(remat, nested):
    outline = models.outline(Nested(num_classes=3, remat=remat), (12, 16))
    assert outline.names == ("stem", "second/conv", "second", "first/conv")
    assert outline.convolutions == outline.own_maps == ("stem", "second/conv", "first/conv")
    assert outline.batch_norms == {"second/conv": "second/bn", "first/conv": "first/bn"}
    assert outline.summed == {"second/conv", "first/conv"}
    stem, conv, block, last = outline.layers
    assert (stem.shape, stem.kernel, stem.taps, stem.norm) == ((6, 8, 4), (3, 3, 3, 4), ("pre", "post"), None)
    assert (stem.parameters, conv.parameters, last.parameters) == (112, 185 + 10, 276 + 12)
    assert (block.shape, block.kernel, block.taps, block.parameters) == ((6, 8, 5), (), ("post",), 195)
    assert conv.taps == ("conv", "norm", "pre", "post")
    assert (outline.logits.shape, outline.logits.dtype) == ((1, 3), jnp.float32)
    made = jax.eval_shape(lambda: nested[0].init(jax.random.key(0), IMAGES, train=False))
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), made)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), outline.variables) == shapes


def test_receptive_fields_of_nested_modules():
    fields = {layer.name: layer.receptive_field for layer in models.layers(Nested(num_classes=3), (12, 16))}
    assert fields["stem"] == ((0, 0), (3, 3), (2, 2))
    assert fields["second"] == fields["second/conv"] == ((-2, -2), (7, 7), (2, 2))


def test_maps_of_nested_modules_in_use_and_in_training(nested):
    model, variables = nested
    run = jax.jit(lambda v, x: models.apply_with_taps(model, v, x, layers=("first/conv", "second", "stem")))
    logits, maps = run(variables, IMAGES)
    np.testing.assert_allclose(logits, model.apply(variables, IMAGES, train=False), rtol=1e-5, atol=1e-6)
    assert {name: own.shape for name, own in maps.items()} == {
        "first/conv": (2, 6, 8, 6),
        "second": (2, 6, 8, 5),
        "stem": (2, 6, 8, 4),
    }
    stem = jax.nn.relu(nn.Conv(4, (3, 3), strides=2).apply({"params": variables["params"]["stem"]}, IMAGES))
    np.testing.assert_allclose(maps["stem"], stem, rtol=1e-5, atol=1e-6)
    kept = model.apply(variables, IMAGES, train=False, mutable=["tap:second/conv/pre"])[1]
    assert [own.shape for own in jax.tree.leaves(kept)] == [(2, 6, 8, 5)]

    train = jax.jit(lambda v, x, key: models.apply_in_training(model, v, x, layers=("second/conv",), dropout_key=key))
    dropped, maps, batch_stats = train(variables, IMAGES, jax.random.key(1))
    assert dropped.shape == (2, 3)
    assert set(maps) == {"second/conv"}
    mean = (maps["second/conv"] - 1).mean(axis=(0, 1, 2))  # of normalized maps
    np.testing.assert_allclose(mean, np.zeros(5), atol=1e-5)
    assert (batch_stats["first"]["bn"]["mean"] != variables["batch_stats"]["first"]["bn"]["mean"]).all()


def test_layers_and_stages_that_are_not_there(nested):
    model, variables = nested
    with pytest.raises(
        ValueError,
        match=r"layer 'third': Nested offers no such layer; choose one of stem, second/conv, second, first/conv",
    ):
        models.apply_with_taps(model, variables, IMAGES, layers=("third",))
    with pytest.raises(ValueError, match=r"stage = 'conv': the layer 'stem' has no such maps; choose one of pre, post"):
        models.apply_with_taps(model, variables, IMAGES, layers=("stem",), stage="conv")
    with pytest.raises(
        ValueError, match=r"layer 'conv': Plain offers no layers; expected a call of interpjax\.models\.offer"
    ):
        models.apply_with_taps(Plain(num_classes=2), {}, IMAGES, layers=("conv",))


def test_modules_that_offer_nothing():
    outline = models.outline(Plain(num_classes=2), 12)
    assert outline.layers == outline.names == outline.convolutions == outline.own_maps == ()
    assert set(outline.variables["params"]) == {"Conv_0", "Dense_0"}
    assert models.layers(Plain(num_classes=2), 12) == ()


def test_outlines_are_kept_also_of_modules_that_cannot_be_hashed():
    model = models.create_model("alexnet_b", num_classes=3)
    assert models.outline(model, 64) is models.outline(model.clone(axis_name="devices"), (64, 64))
    array = Nested(num_classes=3, settings=np.zeros(2))
    with pytest.raises(TypeError):
        hash(array)
    assert models.outline(array, 12).names == models.outline(Nested(num_classes=3), 12).names


def test_networks_outside_of_devices():
    assert models.outside_of_devices(Plain(num_classes=2)).axis_name is None
    assert models.outside_of_devices(models.create_model("resnet18", num_classes=2, axis_name="a")).axis_name is None
    nested = Nested(num_classes=2)
    assert models.outside_of_devices(nested) is nested


def test_offers_that_cannot_be_meant():
    with pytest.raises(ValueError, match=r"layer 'Conv_0' is offered 2 times: expected a name for each layer"):
        models.outline(Plain(num_classes=2, twice=True), 12)
    with pytest.raises(ValueError, match=r"layer 'Conv_0' is offered at 'relu': expected one of conv, norm, pre, post"):
        models.outline(Plain(num_classes=2, stage="relu"), 12)


@pytest.mark.parametrize(
    ("given", "found"),
    [("maps", r"float32\[1, 12, 12, 5\]"), ("pair", r"float32\[1, 5\] and float32\[1, 12, 12, 4\]")],
)
def test_what_is_no_logits_is_told_with_the_shape_expected(given, found):
    models.check_logits(Plain(num_classes=5), 5, 12)
    message = rf"Plain gives {found} for one image: expected logits float32\[1, 5\]"
    with pytest.raises(ValueError, match=message):
        models.check_logits(Plain(num_classes=5, given=given), 5, 12)
