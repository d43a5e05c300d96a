"""Networks made ready for dissection: their maps against references and each other, and what changes a fingerprint."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import models
from interpjax.data.images import read_image
from interpjax.dissection import Network, Preprocessing, from_jax

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 3), dtype=np.uint8)
PLAIN = Preprocessing(0, 255)
LAYERS = ("conv1", "conv2")


def weights():
    """Of two 3×3 convolutions, 3 → 4 → 5 channels, as JAX has them."""
    rng = np.random.default_rng(1)
    return {
        f"conv{number}": {
            "kernel": rng.normal(size=(3, 3, inputs, filters)).astype(np.float32) / 5,
            "bias": rng.normal(size=filters).astype(np.float32),
        }
        for number, (inputs, filters) in enumerate(((3, 4), (4, 5)), start=1)
    }


def apply(variables, images):
    """Maps of the two convolutions, before the rectifier between them."""
    maps = {}
    x = images
    for layer, params in variables.items():
        dimensions = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, params["kernel"], (1, 1), "SAME", dimension_numbers=dimensions)
        maps[layer] = x + params["bias"].reshape(1, 1, 1, -1)
        x = jax.nn.relu(maps[layer])
    return maps


def network(variables=None, *, layers=LAYERS, preprocessing=PLAIN, name="") -> Network:
    return from_jax(apply, variables or weights(), layers=layers, preprocessing=preprocessing, name=name)


def test_fingerprint_changes_with_what_decides_the_activations_and_with_nothing_else():
    same = network()
    assert len(same.fingerprint) == 64
    assert network(jax.tree.map(jnp.asarray, weights())).fingerprint == same.fingerprint
    changed = weights()
    changed["conv2"]["bias"][3] += 1e-6
    renamed = {"conv3" if layer == "conv2" else layer: value for layer, value in weights().items()}
    others = [
        network(changed),
        network(renamed),
        network(layers=("conv1",)),
        network(preprocessing=Preprocessing(0, 255, "BGR")),
        network(name="pre"),
    ]
    assert len({other.fingerprint for other in [same, *others]}) == 1 + len(others)


def test_network_keeps_the_weights_that_it_was_made_of():
    variables = weights()
    made = network(variables)
    before = np.asarray(made(IMAGES)["conv1"])
    variables["conv1"]["kernel"][:] = 0
    np.testing.assert_array_equal(made(IMAGES)["conv1"], before)
    assert made.layers == LAYERS
    assert made.preprocessing == PLAIN.describe()


def test_unknown_layer_is_refused():
    with pytest.raises(ValueError, match="layer 'conv9': the network gives maps of conv1, conv2"):
        network(layers=("conv9",))(IMAGES)


def test_a_function_that_gives_no_mapping_is_refused(untyped):
    """As what apply_with_taps gives, of which the second part is needed."""
    made = from_jax(lambda v, x: (x, apply(v, x)), weights(), layers=LAYERS, preprocessing=PLAIN)
    with pytest.raises(ValueError, match=r"apply: gave a tuple; expected {layer: maps}"):
        made(IMAGES)


ARGUMENTS = [
    ({"layers": "conv1"}, r"layers = 'conv1': expected a sequence of names, as \('conv1',\)"),
    ({"layers": ()}, r"layers = \(\): expected one at least"),
    ({"preprocessing": None}, "preprocessing = None: expected a Preprocessing, as Preprocessing.imagenet"),
    ({"preprocessing": np.divide}, "preprocessing = <ufunc 'divide'>: expected a Preprocessing"),
    ({"name": None}, "name = None: expected a string"),
]


@pytest.mark.parametrize(("changes", "message"), ARGUMENTS)
def test_wrong_arguments_of_a_jax_network_are_refused(untyped, changes, message):
    with pytest.raises(ValueError, match=message):
        network(**changes)


def test_only_a_network_whose_code_is_named_is_stored():
    with pytest.raises(ValueError, match="cache: this network has no name, which stands for its code"):
        network().storage_key()
    named = network(name="pre")
    assert named.storage_key() == named.fingerprint
    assert Network(apply, {}, LAYERS, fingerprint="of my own").storage_key() == "of my own"


def test_squeezenet_gives_the_golden_activations(shared):
    folder = shared / "data" / "squeezenet_places365"
    mean = np.load(folder / "places365_mean_bgr_3x256x256.npy")[:, 16:240, 16:240].transpose(1, 2, 0)
    model = models.create_model("squeezenet_places365", num_classes=365)
    squeezenet = from_jax(
        lambda variables, images: models.apply_with_taps(model, variables, images, layers=("fire9",))[1],
        models.load_weights("squeezenet_places365", folder / "squeezenet_places365.npz"),
        layers=("fire9",),
        preprocessing=Preprocessing(mean, 255, "BGR"),
        name=f"{model!r} post",
    )
    golden = np.load(shared / "golden" / "dissect" / "activations.npz")
    real = np.char.startswith(golden["kind"], "real")
    chosen = np.linspace(0, len(golden["images"]) - 1, 4).astype(int)
    images = [read_image(shared / "data" / "mini_broden" / "images" / name) for name in golden["images"][chosen]]
    maps = np.asarray(squeezenet(np.stack(images))["fire9"])[..., golden["source_unit"][real]]
    # Float32 in another order of sums, through 25 layers: measured 4e-6, of values of standard deviation 0.3.
    np.testing.assert_allclose(maps, golden["activations"][chosen][..., real], atol=3e-5)
