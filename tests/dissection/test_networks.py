"""Networks made ready for dissection: their maps against references and each other, and what changes a fingerprint."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import models
from interpjax.data.images import read_image
from interpjax.dissection import Network, Preprocessing, from_jax, from_torch

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
    with pytest.raises(ValueError, match=r"apply: gave a tuple; needed is {layer: maps}"):
        made(IMAGES)


ARGUMENTS = [
    ({"layers": "conv1"}, r"layers = 'conv1': needed is a sequence of names, as \('conv1',\)"),
    ({"layers": ()}, r"layers = \(\): name one at least"),
    ({"preprocessing": None}, "preprocessing = None: a Preprocessing is needed, as Preprocessing.imagenet"),
    ({"preprocessing": np.divide}, "preprocessing = <ufunc 'divide'>: a Preprocessing is needed"),
    ({"name": None}, "name = None: must be a string"),
]


@pytest.mark.parametrize(("changes", "message"), ARGUMENTS)
def test_wrong_arguments_of_a_jax_network_are_refused(untyped, changes, message):
    with pytest.raises(ValueError, match=message):
        network(**changes)


@pytest.mark.parametrize(("changes", "message"), ARGUMENTS)
def test_wrong_arguments_of_a_torch_network_are_refused(untyped, changes, message):
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=message):
        from_torch(torch_module(torch), **({"layers": ("0",), "preprocessing": PLAIN} | changes))


def test_only_a_network_whose_code_is_named_is_stored():
    with pytest.raises(ValueError, match="cache: this network has no name, which stands for its code"):
        network().storage_key()
    named = network(name="pre")
    assert named.storage_key() == named.fingerprint
    assert Network(apply, {}, LAYERS, fingerprint="of my own").storage_key() == "of my own"


def test_a_torch_network_is_stored_under_a_name_only():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="cache: this network has no name"):
        from_torch(torch_module(torch), ("0",), preprocessing=PLAIN).storage_key()
    named = from_torch(torch_module(torch), ("0",), preprocessing=PLAIN, name="mine")
    assert named.storage_key() == named.fingerprint


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


def torch_module(torch, *, inplace: bool = True):
    """The network of :func:`apply`, its convolutions called 0 and 2; then a dense layer."""
    convolutions = []
    for params in weights().values():
        filters, inputs = params["kernel"].shape[3], params["kernel"].shape[2]
        convolution = torch.nn.Conv2d(inputs, filters, 3, padding=1)
        convolution.weight.data = torch.from_numpy(params["kernel"].transpose(3, 2, 0, 1).copy())
        convolution.bias.data = torch.from_numpy(params["bias"])
        convolutions.append(convolution)
    nonlinear = [torch.nn.ReLU(inplace=inplace) for _ in convolutions]
    torch.manual_seed(0)
    rest = [torch.nn.Dropout(0.5), torch.nn.Flatten(), torch.nn.Linear(5 * 12 * 10, 2)]
    return torch.nn.Sequential(convolutions[0], nonlinear[0], convolutions[1], nonlinear[1], *rest)


def test_torch_and_jax_give_the_same_maps_also_before_a_rectifier_in_place():
    torch = pytest.importorskip("torch")
    module = torch_module(torch)
    preprocessing = Preprocessing.imagenet()
    found = from_torch(module, ("0", "2", "3"), preprocessing=preprocessing)(IMAGES)
    expected = network(preprocessing=preprocessing)(IMAGES)
    for layer, number in zip(LAYERS, ("0", "2"), strict=True):
        assert (found[number] < 0).any()
        np.testing.assert_allclose(found[number], expected[layer], atol=1e-5)
    np.testing.assert_allclose(found["3"], jax.nn.relu(expected["conv2"]), atol=1e-5)


def test_torch_module_is_left_as_it_was():
    torch = pytest.importorskip("torch")
    module = torch_module(torch)
    module[1].eval()
    made = from_torch(module, ("2",), preprocessing=PLAIN)
    before = made(IMAGES)["2"]
    assert [submodule.training for submodule in module] == [True, False, *[True] * 5]
    assert not any(submodule._forward_hooks for submodule in module.modules())
    module[0].weight.data.zero_()
    np.testing.assert_array_equal(made(IMAGES)["2"], before)


def test_torch_fingerprint_changes_with_what_decides_the_activations_and_with_nothing_else():
    torch = pytest.importorskip("torch")

    def fingerprint(change=lambda module: None, layers=("2",), preprocessing=PLAIN, name=""):
        module = torch_module(torch)
        module.append(torch.nn.BatchNorm1d(2))
        change(module)
        return from_torch(module, layers, preprocessing=preprocessing, name=name).fingerprint

    same = fingerprint()
    assert fingerprint(lambda module: module.eval()) == same
    others = [
        fingerprint(lambda module: module[2].bias.data[3].add_(1e-6)),
        fingerprint(lambda module: module[-1].running_mean.add_(1)),
        fingerprint(lambda module: setattr(module[2], "padding", (0, 0))),
        fingerprint(layers=("0",)),
        fingerprint(preprocessing=Preprocessing.imagenet()),
        fingerprint(name="other"),
    ]
    assert len({same, *others}) == 1 + len(others)


def test_torch_layers_that_cannot_be_dissected_are_refused():
    torch = pytest.importorskip("torch")
    module = torch_module(torch)
    with pytest.raises(ValueError, match=r"layer 'features\.0': Sequential has the layers 0, 1, 2, 3, 4, 5, 6"):
        from_torch(module, ("features.0",), preprocessing=PLAIN)
    with pytest.raises(ValueError, match=r"layer '6': gives shape \(3, 2\), not a tensor \[n, channels, height"):
        from_torch(module, ("6",), preprocessing=PLAIN)(IMAGES)
    shared = torch.nn.ReLU()
    twice = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), shared, torch.nn.Conv2d(2, 2, 1), shared)
    with pytest.raises(ValueError, match="layer '1': runs several times on one image"):
        from_torch(twice, ("1",), preprocessing=PLAIN)(IMAGES)
    many = torch.nn.Sequential(*[torch.nn.ReLU() for _ in range(50)])
    with pytest.raises(ValueError, match=r"0, 1, .*, 19, … \(50 in all\)"):
        from_torch(many, ("50",), preprocessing=PLAIN)


def test_what_is_no_torch_module_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"module: a OrderedDict; a torch\.nn\.Module is needed"):
        from_torch(torch_module(torch).state_dict(), ("0",), preprocessing=PLAIN)


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="from_torch needs PyTorch"):
        from_torch(None, ("conv1",), preprocessing=PLAIN)
