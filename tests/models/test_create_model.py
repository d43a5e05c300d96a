"""Models by name, and a user's own by their import path."""

import jax
import jax.numpy as jnp
import pytest

from interpjax import models

NETWORKS = """
import dataclasses

import flax.linen as nn

class Small(nn.Module):
    num_classes: int
    dtype: str | None = None

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Dense(self.num_classes)(images.mean((1, 2)))

class Deep(Small):
    depth: int = 2
    width: float = 1.0

class Classless(nn.Module):
    units: int = 3

class NeedsMore(Small):
    blocks: tuple = dataclasses.field(kw_only=True)

class Trainless(nn.Module):
    num_classes: int

    def __call__(self, images):
        return images

class NoModule:
    pass

def small(num_classes):
    return Small(num_classes)
"""


@pytest.fixture
def networks(tmp_path, monkeypatch):
    name = f"networks_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(NETWORKS)
    (tmp_path / f"{name}_broken.py").write_text("import a_library_that_is_missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_class_by_its_import_path(networks):
    model = models.create_model(f"{networks}:Small", num_classes=5, width=1.0, dropout=True, axis_name="devices")
    assert (type(model).__name__, model.num_classes, model.dtype) == ("Small", 5, None)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)), train=False)
    assert model.apply(variables, jnp.zeros((2, 8, 8, 3)), train=False).shape == (2, 5)
    deep = models.create_model(f"{networks}:Deep", num_classes=5, width=0.5, dtype="bfloat16", depth=3)
    assert (deep.width, deep.dtype, deep.depth) == (0.5, "bfloat16", 3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0.5}, "width = 0.5: Small of model 'networks_of_.*:Small' has no such field; expected 1.0"),
        ({"dropout": False}, "dropout = False: Small of model 'networks_of_.*:Small' has no such field; expected True"),
        ({"depth": 3}, "depth = 3: Small of model 'networks_of_.*:Small' has no such field; leave it out"),
    ],
)
def test_fields_that_a_class_does_not_declare_are_named(fields, message, networks):
    with pytest.raises(ValueError, match=message):
        models.create_model(f"{networks}:Small", num_classes=5, **fields)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_networks:Small", "there is no module 'no_such_networks'; modules are found in"),
        ("{}:Missing", "{} has no 'Missing'; it has .*Small, Deep"),
        ("{}:NoModule", r"this is the class NoModule, expected a class made of flax\.linen\.Module"),
        ("{}:small", r"this is a function, expected a class made of flax\.linen\.Module"),
        ("{}:Classless", "Classless has no field num_classes, expected `num_classes: int` in the class"),
        ("{}:Trainless", r"Trainless takes no `train`; expected `__call__\(self, images, \*, train\)`"),
        ("{}:NeedsMore", "NeedsMore has no default for blocks; expected one for each"),
        ("{}:", "expected the import path MODULE:NAME"),
    ],
)
def test_what_an_import_path_has_to_lead_to(path, message, networks):
    path = path.format(networks)
    with pytest.raises(ValueError, match=rf"(model|name) = '{path}': {message.replace('{}', networks)}"):
        models.create_model(path, num_classes=5)


def test_errors_name_the_field_of_a_configuration(networks):
    assert models.find_model("config.model.name", f"{networks}:Small").__name__ == "Small"
    assert models.find_model("config.model.name", "alexnet") is models.MODELS["alexnet"]
    with pytest.raises(ValueError, match=r"config\.model\.name = 'alexnett': choose one of alexnet.*import path"):
        models.find_model("config.model.name", "alexnett")


def test_a_module_s_own_errors_pass(networks):
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_missing"):
        models.create_model(f"{networks}_broken:Small", num_classes=5)
