"""Networks in PyTorch: their maps beside those of JAX, and what becomes of tokens, dense layers and other dtypes."""

import sys

import jax
import numpy as np
import pytest
from test_networks import ARGUMENTS, IMAGES, LAYERS, PLAIN, network, weights

from interpjax.dissection import Preprocessing, from_torch
from interpjax.errors import UserError


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="from_torch: PyTorch is not installed"):
        from_torch(None, ("conv1",), preprocessing=PLAIN)


@pytest.mark.parametrize(("changes", "message"), ARGUMENTS)
def test_wrong_arguments_of_a_torch_network_are_refused(untyped, changes, message):
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=message):
        from_torch(torch_module(torch), **({"layers": ("0",), "preprocessing": PLAIN} | changes))


def test_a_torch_network_is_stored_under_a_name_only():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="cache: this network has no name"):
        from_torch(torch_module(torch), ("0",), preprocessing=PLAIN).storage_key()
    named = from_torch(torch_module(torch), ("0",), preprocessing=PLAIN, name="mine")
    assert named.storage_key() == named.fingerprint


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
    shared = torch.nn.ReLU()
    twice = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), shared, torch.nn.Conv2d(2, 2, 1), shared)
    with pytest.raises(ValueError, match=r"layer '1': runs several times on one image; .* a module of its own"):
        from_torch(twice, ("1",), preprocessing=PLAIN)(IMAGES)
    many = torch.nn.Sequential(*[torch.nn.ReLU() for _ in range(50)])
    with pytest.raises(ValueError, match=r"0, 1, .*, 19, … \(50 in all\)"):
        from_torch(many, ("50",), preprocessing=PLAIN)


def test_what_is_no_torch_module_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"module: a OrderedDict; expected a torch\.nn\.Module"):
        from_torch(torch_module(torch).state_dict(), ("0",), preprocessing=PLAIN)


def test_a_shared_rectifier_is_answered_with_its_block():
    """As ResNet's blocks have it: the same module after the first convolution and after the sum."""
    torch = pytest.importorskip("torch")

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2, self.relu = torch.nn.Conv2d(3, 3, 1), torch.nn.Conv2d(3, 3, 1), torch.nn.ReLU()

        def forward(self, x):
            return self.relu(x + self.conv2(self.relu(self.conv1(x))))

    module = torch.nn.Sequential(Block(), Block())
    with pytest.raises(UserError, match=r"layer '1\.relu': runs several times .*: take the block '1', which ends"):
        from_torch(module, ("1.relu",), preprocessing=PLAIN)(IMAGES)
    maps = from_torch(module, ("1",), preprocessing=PLAIN)(IMAGES)["1"]
    assert maps.shape == IMAGES.shape
    assert (maps >= 0).all()


def test_dense_layers_are_maps_of_one_cell():
    torch = pytest.importorskip("torch")
    module = torch_module(torch)
    maps = from_torch(module, ("6",), preprocessing=PLAIN)(IMAGES)["6"]
    x = torch.from_numpy(PLAIN(IMAGES).transpose(0, 3, 1, 2).copy())
    np.testing.assert_allclose(maps[:, 0, 0], module.eval()(x).detach().numpy(), atol=1e-6)


def tokens(torch, before):
    """Patches of four pixels as tokens, row by row, after ``before`` of zeros."""

    class Patches(torch.nn.Module):
        def forward(self, x):
            patches = torch.nn.functional.avg_pool2d(x, 4).flatten(2).transpose(1, 2)
            return torch.cat([torch.zeros(len(x), before, 3), patches], dim=1)

    return torch.nn.Sequential(Patches())


def test_tokens_become_maps_on_their_grid():
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(2).integers(0, 256, (2, 12, 8, 3), dtype=np.uint8)
    means = PLAIN(images).reshape(2, 3, 4, 2, 4, 3).mean(axis=(2, 4))
    for before in (0, 1, 4):
        found = from_torch(tokens(torch, before), ("0",), preprocessing=PLAIN, grid=(3, 2))(images)["0"]
        np.testing.assert_allclose(found, means, atol=1e-6)
    square = images[:, :8]
    for before in (0, 1):  # as with a class token
        found = from_torch(tokens(torch, before), ("0",), preprocessing=PLAIN)(square)["0"]
        np.testing.assert_allclose(found, means[:, :2], atol=1e-6)


def test_a_grid_that_is_not_plain_is_asked_for():
    torch = pytest.importorskip("torch")
    images = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(UserError, match=r"layer '0': gives 6 tokens for images of \(8, 8\) .* grid=\(height, width\)"):
        from_torch(tokens(torch, 2), ("0",), preprocessing=PLAIN)(images)
    with pytest.raises(UserError, match=r"layer '0': gives 4 tokens for images of \(4, 16\) .* grid=\(height, width\)"):
        from_torch(tokens(torch, 0), ("0",), preprocessing=PLAIN)(images.reshape(2, 4, 16, 3))
    with pytest.raises(UserError, match=r"grid = \(3, 3\): layer '0' gives 4 tokens; expected 9 or more"):
        from_torch(tokens(torch, 0), ("0",), preprocessing=PLAIN, grid=(3, 3))(images)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (14, r"grid = 14: expected \(height, width\)"),
        ((14, 0), r"grid\[1\] = 0: expected a whole number"),
    ],
)
def test_wrong_grids_are_refused(untyped, grid, message):
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=message):
        from_torch(tokens(torch, 0), ("0",), preprocessing=PLAIN, grid=grid)


@pytest.mark.parametrize(("name", "close"), [("bfloat16", 0.05), ("float16", 0.01), ("float64", 1e-5)])
def test_modules_of_other_dtypes_are_given_images_of_theirs(name, close):
    torch = pytest.importorskip("torch")
    module = torch_module(torch).to(getattr(torch, name))
    made = from_torch(module, ("0", "2"), preprocessing=PLAIN)
    expected = from_torch(torch_module(torch), ("0", "2"), preprocessing=PLAIN)
    for layer, maps in made(IMAGES).items():
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps, expected(IMAGES)[layer], atol=close)
    assert len(made.fingerprint) == 64
    assert made.fingerprint not in (expected.fingerprint, from_torch(module, ("0",), preprocessing=PLAIN).fingerprint)
    assert made.fingerprint == from_torch(module, ("0", "2"), preprocessing=PLAIN).fingerprint


def test_outputs_that_are_no_tensors_or_of_another_rank_are_refused():
    torch = pytest.importorskip("torch")

    class Two(torch.nn.Module):
        def forward(self, x):
            return x, x

    class Five(torch.nn.Module):
        def forward(self, pair):
            return pair[0][None]

    module = torch.nn.Sequential(Two(), Five())
    with pytest.raises(UserError, match=r"layer '0': gives a tuple; expected a tensor \[n, channels, height"):
        from_torch(module, ("0",), preprocessing=PLAIN)(IMAGES)
    with pytest.raises(UserError, match=r"layer '1': gives the shape \(1, 3, 3, 12, 10\); expected \[n, channels"):
        from_torch(module, ("1",), preprocessing=PLAIN)(IMAGES)


@pytest.mark.parametrize("dtype", ["complex64", "bool"])
def test_outputs_that_are_no_real_numbers_are_refused_and_not_cast(dtype):
    torch = pytest.importorskip("torch")

    class Cast(torch.nn.Module):
        def forward(self, x):
            return x.to(getattr(torch, dtype))

    module = torch.nn.Sequential(Cast())
    with pytest.raises(UserError, match=f"layer '0': its maps are of dtype torch.{dtype}; expected real numbers"):
        from_torch(module, ("0",), preprocessing=PLAIN)(IMAGES)
