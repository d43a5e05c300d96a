"""``interpjax dissect``, and the network of a run: found is what is found by hand; a mistake ends with one line."""

import json
import shutil

import broden_layout
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

import interpjax
from interpjax import data, dissection, models
from interpjax.__main__ import main
from interpjax.commands.network_of_run import take_network
from interpjax.data.images import read_image
from interpjax.prepare import prepare
from interpjax.training import kept_steps


@pytest.fixture(scope="module")
def broden(tmp_path_factory):
    return broden_layout.make_broden(tmp_path_factory.mktemp("labelled") / "broden")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run that was trained for a few steps, with a protocol of its own."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    config = tiny.tiny_config(dissection__protocol_fields=(("top_quantile", 0.1),))
    interpjax.run(config, workdir, ("train", "evaluate"))
    return workdir


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights of the small network, in PyTorch's names."""
    shapes = models.outline(models.create_model("two_figures_cnn", num_classes=2), 32).variables
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)
    path = tmp_path_factory.mktemp("weights") / "weights.npz"
    np.savez(path, **models.export_torch("two_figures_cnn", variables))
    return path


def stored(folder, layer):
    return dissection.Dissection.load(folder / "dissection" / layer / "iou.npz")


def test_network_of_a_run_is_that_which_the_run_dissects(trained):
    network = dissection.from_workdir(trained)
    config, model, variables = interpjax.load(trained)
    images = np.random.default_rng(0).integers(0, 255, (2, 40, 40, 3)).astype(np.uint8)
    inputs = jnp.asarray((images.astype(np.float32) / 255 - 0.5) / 0.25)
    expected = models.apply_with_taps(model, variables, inputs, layers=("conv1", "conv2"))[1]
    found = network(images)
    assert list(found) == ["conv1", "conv2"]
    for layer, maps in found.items():
        np.testing.assert_allclose(maps, expected[layer], atol=1e-5)  # float32, prepared and added up in one program
    assert network.fingerprint == prepare(config, trained, ("dissect",)).network.fingerprint
    with pytest.raises(ValueError, match="no run there"):
        dissection.from_workdir(trained / "stages")


@pytest.mark.long
def test_network_of_a_run_is_dissected_in_another_way(trained, broden, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in sorted(trained.rglob("*"))}
    command = ["dissect", f"--weights={trained}", f"--broden={broden}", f"--out={tmp_path / 'out'}"]
    command += ["--layers=conv2", "--protocol=lite", "--batch_size=2"]
    (tmp_path / "out.interpjax-tmp" / "checkpoints" / "6").mkdir(parents=True)  # left where it was cut off
    main(command)
    assert {path: path.stat().st_mtime_ns for path in sorted(trained.rglob("*"))} == before
    network = dissection.from_workdir(tmp_path / "out")
    assert (network.layers, kept_steps(tmp_path / "out")) == (("conv2",), (6,))
    expected = dissection.dissect(
        network,
        data.load_broden(broden),
        layers=("conv2",),
        protocol=dissection.get_protocol("lite"),
        batch_size=2,
        image_size=40,
    )
    np.testing.assert_array_equal(stored(tmp_path / "out", "conv2").iou, expected["conv2"].iou)
    assert stored(tmp_path / "out", "conv2").protocol == dissection.get_protocol("lite")  # no field changed
    summary, of_run = (json.loads((each / "summary.json").read_text()) for each in (tmp_path / "out", trained))
    assert set(summary["layers"]) == {"conv2"}
    assert summary["accuracy"] == of_run["accuracy"]
    assert (tmp_path / "out" / "report.html").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    capsys.readouterr()
    main(command)
    assert "already finished" in capsys.readouterr().err


@pytest.mark.long
def test_network_of_another_training_is_not_taken_for_it(trained, tmp_path):
    main(["dissect", f"--weights={trained}", f"--out={tmp_path / 'out'}", "--layers=conv1"])
    shutil.copytree(trained, tmp_path / "other")
    record = tmp_path / "other" / "stages" / "train.json"
    record.write_text(record.read_text().replace('"num_steps": 6', '"num_steps": 4'))
    with pytest.raises(SystemExit, match="it holds the network of another training, and not that of"):
        main(["dissect", f"--weights={tmp_path / 'other'}", f"--out={tmp_path / 'out'}", "--layers=conv1"])


@pytest.mark.long
def test_file_of_weights_is_dissected_as_by_hand(weights, broden, tmp_path):
    command = ["dissect", f"--weights={weights}", "--model=two_figures_cnn", f"--broden={broden}", "--image_size=32"]
    main([*command, f"--out={tmp_path / 'out'}", "--layers=conv1,conv2"])
    model = models.create_model("two_figures_cnn", num_classes=2)
    network = dissection.from_jax(
        lambda v, x: models.apply_with_taps(model, v, x, layers=("conv1", "conv2"))[1],
        models.load_weights("two_figures_cnn", weights),
        layers=("conv1", "conv2"),
        preprocessing=dissection.Preprocessing.imagenet(),
    )
    by_hand = dissection.dissect(network, data.load_broden(broden), layers=network.layers, image_size=32)
    for layer, expected in by_hand.items():
        np.testing.assert_array_equal(stored(tmp_path / "out", layer).iou, expected.iou)
        assert (tmp_path / "out" / "dissection" / layer / "tally.csv").is_file()
    # Its folder is that of a run too, whose network stays in its file.
    main(["dissect", f"--weights={tmp_path / 'out'}", f"--out={tmp_path / 'again'}", "--layers=conv2"])
    np.testing.assert_array_equal(stored(tmp_path / "again", "conv2").iou, by_hand["conv2"].iou)
    image = read_image(broden / "images" / "a.jpg")[None]
    maps = (dissection.from_workdir(tmp_path / each)(image)["conv2"] for each in ("out", "again"))
    np.testing.assert_allclose(*maps, atol=1e-5)  # programs of one layer and of two may add up in another order


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights={trained}"], "the following arguments are required: --out; see interpjax dissect --help"),
        (["--weights={trained}", "--out={out}", "--layer=conv2"], "--layer=conv2; did you mean --layers\\?"),
        (["--weight={trained}", "--out={out}"], "unrecognized arguments: --weight=.*; did you mean --weights\\?; see"),
        (["--weights={trained}", "--out={out}", "--batch_size=x"], "invalid int value: 'x'"),
        (["--weights={trained}", "--out={out}", "--batch_size=0"], "config.dissection.batch_size = 0: expected"),
        (["--weights={trained}", "--out={out}", "--layers=conv9"], "two_figures_cnn has no 'conv9'; choose from conv1"),
        (["--weights={trained}", "--out={out}", "--protocol=papers"], "config.dissection.protocol"),
        (["--weights={trained}", "--out={out}", "--broden={out}"], "config.dissection.broden"),
        (["--weights={trained}", "--out={out}", "--model=alexnet"], "--model=alexnet: expected only with a file"),
        (["--weights={trained}", "--out={trained}"], "this is the folder of the run; expected another one"),
        (["--weights={trained}", "--out={trained}/sub"], "--out=.*/sub: is inside of the folder of the run"),
        (["--weights={trained}", "--out={broden}"], "it is not empty and holds no config.json; expected a new folder"),
        (["--weights={broden}", "--out={out}"], "no run there \\(config.json is missing\\)"),
        (["--weights={out}", "--out={out}"], "--weights=.*: there is no such file or folder"),
        (["--weights={file}", "--out={out}"], "--model: expected the name of the network of --weights="),
        (["--weights={file}", "--out={out}", "--model=alexnet"], "--broden: expected a folder in Broden's layout"),
        (["--weights={file}", "--out={out}", "--model=vgg17", "--broden={broden}"], "config.model.name = 'vgg17'"),
        (["--weights={file}", "--out={out}", "--model=alexnet", "--broden={broden}"], "weights.npz: weights of alexne"),
    ],
)
def test_mistakes_end_in_one_line_and_write_nothing(options, message, trained, weights, broden, tmp_path):
    places = {"trained": trained, "broden": broden, "file": weights, "out": tmp_path / "out"}
    with pytest.raises(SystemExit, match=message) as ended:
        main(["dissect", *(option.format(**places) for option in options)])
    assert isinstance(ended.value.code, str)  # Python prints it and ends with 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "disect",
            "disect: no such command; expected compare, dissect, get, table, or the flags .* did you mean dissect\\?$",
        ),
        (
            "places365_gbn",
            "places365_gbn: no such command; expected compare, dissect, get, table, or the flags .* see --help$",
        ),
    ],
)
def test_what_is_no_command_is_told(word, message):
    with pytest.raises(SystemExit, match=message):
        main([word, "--weights=x"])


def test_a_folder_of_another_dissection_is_told_without_a_flag_that_the_command_lacks(trained, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(trained, out)
    (out / "stages" / "dissect.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"(?s)config.dissection.layers = .*or another folder\.") as ended:
        main(["dissect", f"--weights={trained}", f"--out={out}", "--layers=conv1"])
    assert "--workdir" not in ended.value.code


def test_the_network_of_a_run_needs_no_image_of_its_own(trained, broden, tmp_path):
    pictures = ("filters", "causes")
    fields = {"dissection.broden": str(broden), "data.source": "image_folder", "visualization.pictures": pictures}
    config = take_network(trained, fields, tmp_path / "out")
    assert config.visualization.pictures == ("filters",)
    assert prepare(config, tmp_path / "out", ("dissect", "visualize", "report")).source is None


def test_training_that_has_not_come_to_its_end_is_not_dissected(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "cut")
    (tmp_path / "cut" / "stages" / "train.json").unlink()
    with pytest.raises(SystemExit, match=r"the training in workdir .*cut has not come to its end"):
        main(["dissect", f"--weights={tmp_path / 'cut'}", f"--out={tmp_path / 'out'}"])
