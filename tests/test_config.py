"""Configurations: what can be set, and what is said when it cannot."""

from pathlib import Path

import pytest
import tiny

import interpjax
from interpjax import config as config_lib
from interpjax.config.checks import validate
from interpjax.config.files import config_names
from interpjax.errors import UserError
from interpjax.prepare import prepare

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = config_names()


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_is_valid_and_locked(name):
    assert (FOLDER / f"{name}.py").is_file()
    config = interpjax.get_config(name)
    validate(config)
    with pytest.raises(AttributeError):
        config.optimiser = 1
    with pytest.raises(AttributeError):
        config.data.trian = "x"
    # Otherwise a metric's mean over the steps since the last one would differ where a run was resumed.
    assert config.training.checkpoint_every_steps % config.training.log_every_steps == 0
    header = (FOLDER / f"{name}.py").read_text()
    for part in ("Run:", "Cost:", "Expect:", f"--config=configs/{name}.py"):
        assert part in header


def test_regularizers_of_a_pair_differ_in_nothing_else():
    for name in ("two_figures", "image_folder", "places365"):
        block_norm, weight_decay = (interpjax.get_config(f"{name}_{kind}") for kind in ("gbn", "wd"))
        differing = config_lib.differing_fields(block_norm, config_lib.to_json(weight_decay))
        assert set(differing) == {"regularizer.block_norm.strength", "regularizer.weight_decay.strength"}


def test_places365_is_the_published_recipe():
    config = interpjax.get_config("places365_gbn")
    norm = config.regularizer.block_norm
    assert (norm.p, norm.q, norm.strength) == (2, 1, 5e-3)
    assert interpjax.get_config("places365_wd").regularizer.weight_decay.strength == 1e-4
    assert (config.optimizer.name, config.optimizer.momentum, config.optimizer.learning_rate) == ("sgd", 0.9, 0.01)
    assert (config.training.batch_size, config.training.num_epochs, config.data.image_size) == (256, 90, 224)
    assert (config.model.name, config.model.width, config.data.augment) == ("alexnet", 1.0, "random_resized_crop")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("regularizer.block_norm.p", 0.5, r"config.regularizer.block_norm.p = 0.5: a norm needs 1 <= p <= inf"),
        ("regularizer.block_norm.q", float("nan"), r"config.regularizer.block_norm.q = nan: a norm needs"),
        ("data.on_bad_image", "ignore", r"config.data.on_bad_image = 'ignore': choose one of error, skip"),
        ("training.batch_size", 0, r"config.training.batch_size = 0: expected a number above 0"),
        ("regularizer.block_norm.strength", -1.0, r"strength = -1.0: expected a number of 0 or more"),
        ("data.resize_size", 10, r"config.data.resize_size = 10: expected at least config.data.image_size = 224"),
        (
            "dissection.chance.kinds",
            ("labels", "noise"),
            r"kinds = \('labels', 'noise'\): expected one or more of labels, ",
        ),
        (
            "dissection.chance.kinds",
            (),
            r"config.dissection.chance.kinds = \(\): expected one or more of labels, rotation",
        ),
        ("dissection.chance.draws", 0, "config.dissection.chance.draws = 0: expected a number above 0"),
        ("seed", 2**63, r"config.seed = 9223372036854775808: expected at most 2147483647"),
        ("seed", None, r"config.seed = None: expected a whole number"),
        ("optimizer.learning_rate", 1e300, r"config.optimizer.learning_rate = 1e\+300: expected at most 3.4e\+38"),
        ("optimizer.learning_rate", float("inf"), r"config.optimizer.learning_rate = inf: expected a finite number"),
        ("optimizer.learning_rate", 1e-320, r"learning_rate = .*: expected 0, or a number of at least 1.2e-38"),
        ("regularizer.block_norm.q", 1e300, r"config.regularizer.block_norm.q = 1e\+300: expected at most"),
        ("data.mean", ("a", 0.5, 0.5), r"config.data.mean = \('a', 0.5, 0.5\): expected finite numbers"),
        ("data.std", (), r"config.data.std = \(\): expected three numbers"),
        ("model.frozen", (1,), r"config.model.frozen = \(1,\): expected texts"),
        ("dissection.protocol_fields", ("x",), r"protocol_fields = \('x',\): expected pairs of a name and a value"),
        ("data.num_threads", 10**6, r"config.data.num_threads = 1000000: expected at most 1024"),
        ("training.num_epochs", 0, r"config.training.num_steps = 0 and config.training.num_epochs = 0"),
    ],
)
def test_wrong_values_are_named(field, value, message):
    with pytest.raises(ValueError, match=message):
        validate(config_lib.override(interpjax.get_config("places365_gbn"), {field: value}))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("training.batch_size", 48, r"config.training.batch_size = 48: expected at most 40, the number of training"),
        (
            "training.batch_size",
            2**30,
            r"config.training.batch_size = 1073741824: a batch would take [\d.]+ GB",
        ),
        (
            "training.num_epochs",
            1e9,
            r"num_epochs = 1000000000.0: 5000000000 steps with 40 training images",
        ),
        ("optimizer.decay_every_epochs", 1e-5, r"decay_every_epochs = 1e-05: the learning rate would change more than"),
    ],
)
def test_what_does_not_fit_data_or_machine_is_named(tmp_path, field, value, message):
    fields = {"training.num_steps": 0, "optimizer.schedule": "step", field: value}
    config = config_lib.override(tiny.tiny_config(), fields)
    with pytest.raises(UserError, match=message):
        prepare(config, tmp_path, ("train",))


def test_overrides_are_checked_and_leave_the_original():
    config = interpjax.get_config("places365_gbn")
    assert config_lib.override(config, {"regularizer.block_norm.p": 4}).regularizer.block_norm.p == 4.0
    assert config.regularizer.block_norm.p == 2.0
    with pytest.raises(
        ValueError, match=r"config.data.trian: no such field; config.data has no 'trian': choose one of"
    ):
        config_lib.override(config, {"data.trian": "x"})
    with pytest.raises(ValueError, match=r"config.model.width = 'wide': expected a number, as 1.0"):
        config_lib.override(config, {"model.width": "wide"})
    with pytest.raises(
        ValueError, match=r"config.model = 3: expected one of its fields to be set, as config.model.\w+$"
    ):
        config_lib.override(config, {"model": 3})


def test_json_round_trip_keeps_everything():
    config = config_lib.override(interpjax.get_config("two_figures_gbn"), {"regularizer.block_norm.p": float("inf")})
    assert config_lib.from_json(config_lib.to_json(config)) == config


def test_config_can_be_a_path_with_an_argument(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from interpjax.config import default_config\n"
        "def get_config(arg='1'):\n    c = default_config()\n    c.seed = int(arg)\n    return c\n"
    )
    assert interpjax.get_config(str(path)).seed == 1
    assert interpjax.get_config(f"{path}:7").seed == 7
    with pytest.raises(ValueError, match=r"config 'two_figurs': no file .*one of image_folder_cgl"):
        interpjax.get_config("two_figurs")
