"""What a dissection is given: maps, images and settings that do not fit, and those that do."""

import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from broden_layout import add_channels, make_broden
from small_network import network, run, thirteen_images

from interpjax import dissection, parallel
from interpjax.data import load_broden
from interpjax.data.images import BadImageError, SkippedImages


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return thirteen_images(tmp_path_factory.mktemp("data") / "broden")


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({"other": np.zeros((8, 4, 4, 2), np.float32)}, "layer 'layer': activations_fn returned 'other'"),
        (
            {"layer": np.zeros((3, 4, 4, 2), np.float32)},
            "layer 'layer': activations_fn returned 3 rows for a batch of 8 images; expected one for each",
        ),
        (
            {"layer": np.full((8, 4, 4, 2), np.nan, np.float32)},
            r"layer 'layer': the activation of unit 0 on image 'more\d+.png' is not finite \(nan\)",
        ),
    ],
)
def test_wrong_activations_are_refused(folder, maps, message):
    with pytest.raises(ValueError, match=message):
        run(lambda images: maps, folder, None)


def test_batches_of_unreadable_images_are_left_out_and_noted(folder, monkeypatch):
    """Both images of a batch: what is left is as if they were not there."""
    monkeypatch.setattr(parallel, "local_devices", lambda: jax.local_devices()[:1])  # to compile for one only
    names, skipped = [f"more{number}.png" for number in (2, 3)], SkippedImages()
    contents = {name: (folder / "images" / name).read_bytes() for name in names}
    for name in names:
        (folder / "images" / name).write_bytes(b"no image")
    broken = dissection.dissect(
        network()[0], load_broden(folder), layers=("layer",), batch_size=2, skipped=skipped, top_images=1
    )["layer"]
    for name, content in contents.items():
        (folder / "images" / name).write_bytes(content)
    whole = load_broden(folder)
    without = dataclasses.replace(whole, records=[record for record in whole.records if record.name not in names])
    expected = dissection.dissect(network()[0], without, layers=("layer",), batch_size=2, top_images=1)["layer"]
    np.testing.assert_array_equal(broken.thresholds, expected.thresholds)
    np.testing.assert_array_equal(broken.intersection, expected.intersection)
    assert broken.pixels == expected.pixels
    assert len(skipped.names) == 2


def test_images_that_were_left_out_are_named_from_the_cache_too(folder, tmp_path):
    image = folder / "images" / "more5.png"
    content = image.read_bytes()
    image.write_bytes(b"no image")
    try:
        skipped = [SkippedImages({"of something else"}), SkippedImages()]
        for own in skipped:
            run(network()[0], folder, tmp_path, skipped=own)
        first, second = ({name.rsplit("/")[-1] for name in own.names} for own in skipped)
        assert len(second) == 1
        assert first == second | {"of something else"}
        again, calls = network()
        with pytest.raises(BadImageError, match=r"more5.png.*: cannot be read, and what the cache keeps is without it"):
            run(again, folder, tmp_path)
        assert calls == []
    finally:
        image.write_bytes(content)


def test_maps_that_change_their_size_are_refused_by_name(folder):
    def maps(images):
        side = 3 + len(maps.calls) % 2
        maps.calls.append(side)
        return {"layer": np.zeros((len(images), side, side, 2), np.float32)}

    maps.calls = []
    with pytest.raises(ValueError, match=r"layer 'layer': its maps are .* on image 'more.*' and .* before"):
        run(maps, folder, None)


def test_the_callers_settings_of_jax_hold_for_the_network(folder, tmp_path):
    """Batches are computed by other threads."""
    seen = []

    def apply(variables, images):
        seen.append((jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision))
        return {"layer": images[:, ::8, ::8].astype(jnp.float64 if jax.config.jax_enable_x64 else jnp.float32)}

    def dissected():
        made = dissection.from_jax(
            apply, np.float32(1), layers=("layer",), preprocessing=dissection.Preprocessing(0, 255), name="settings"
        )
        return run(made, folder, tmp_path)

    dissected()
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        dissected()
    assert set(seen) == {(False, None), (True, "highest")}  # and so the second met no cache of the first


@pytest.mark.long
def test_stored_activations_of_images_of_different_sizes_count_as_each_alone(tmp_path):
    broden = load_broden(add_channels(make_broden(tmp_path / "broden")))
    images = ["d.jpg", "a.jpg", "bare.jpg", "c.jpg"]
    assert len({record.image_shape for record in broden.records}) == 2
    maps = np.random.default_rng(0).normal(size=(4, 5, 5, 3)).astype(np.float32)
    thresholds = {"layer": np.array([0.5, 1.0, 1.5])}
    for protocol in (dissection.get_protocol("paper"), dissection.get_protocol("caffe")):

        def counted(rows, protocol=protocol):
            return dissection.dissect_arrays(
                {"layer": maps[rows]},
                broden,
                images=[images[row] for row in rows],
                protocol=protocol,
                thresholds=thresholds,
            )["layer"]

        together = counted([0, 1, 2, 3])
        alone = [counted([0]), counted([1, 3])]
        np.testing.assert_array_equal(together.intersection, sum(part.intersection for part in alone))
        np.testing.assert_array_equal(together.unit_area, sum(part.unit_area for part in alone))
        assert together.pixels == sum(part.pixels for part in alone)
        assert together.intersection.any()
        assert together.fieldmap is None


def test_field_maps_are_recorded_where_they_are_used(tmp_path):
    broden = load_broden(make_broden(tmp_path / "broden"))
    fieldmap = ((0, 0), (6, 6), (6, 6))
    maps = np.random.default_rng(0).normal(size=(1, 5, 5, 3)).astype(np.float32)
    for name, recorded in [("paper", None), ("caffe", fieldmap)]:
        result = dissection.dissect_arrays(
            {"layer": maps},
            broden,
            images=["a.jpg"],
            protocol=dissection.get_protocol(name),
            fieldmaps={"layer": fieldmap},
        )
        assert result["layer"].fieldmap == recorded


def test_progress_is_shown_unless_it_is_turned_off(folder, capsys, tmp_path):
    broden = load_broden(folder)
    for shown in (True, False):
        run(network()[0], folder, tmp_path, progress=shown)  # the second time it is read from the cache
        maps = np.zeros((len(broden.records), 4, 4, 1), np.float32)
        names = [record.name for record in broden.records]
        dissection.dissect_arrays({"layer": maps}, broden, images=names, progress=shown)
        bars = capsys.readouterr().err
        assert bars.count("dissect: 100%") == bars.count("13.0/13.0") == 2 * shown
        assert bool(bars) == shown


def test_plain_functions_are_called_one_at_a_time(folder):
    """As the hooks of from_torch need it."""
    running, most = [], []

    def maps(images):
        running.append(1)
        time.sleep(0.02)
        most.append(len(running))
        running.pop()
        return {"layer": np.asarray(images[:, ::8, ::8, :2], np.float32)}

    dissection.dissect(maps, load_broden(folder), layers=("layer",), batch_size=2)
    assert len(most) == 7
    assert max(most) == 1


def test_float64_maps_of_a_plain_function_stay_float64(folder):
    """Two values that float32 cannot tell apart, the larger one on a tenth of the cells."""

    def maps(images):
        values = np.full((len(images), 4, 5, 1), 1.0)
        values[:, 0, :2] += 1e-12
        return {"layer": values}

    result = run(maps, folder, None, protocol=dissection.get_protocol("paper", top_quantile=0.2))["layer"]
    assert result.thresholds[0] == 1.0
    assert result.intersection.any()


def test_categories_that_the_data_lack_are_missed_unless_the_published_protocol_has_them(folder):
    lite = run(network()[0], folder, None, protocol=dissection.get_protocol("lite"))["layer"]
    assert lite.categories == ("color", "object", "scene")
    for name, categories in (("paper", ("texture",)), ("paper", ("color", "texture")), ("lite", ("color", "colour"))):
        protocol = dissection.get_protocol(name, categories=categories)
        with pytest.raises(ValueError, match=r"protocol.categories = \(.*\): .* has only color, object, scene"):
            run(network()[0], folder, None, protocol=protocol)


def test_a_torch_module_itself_is_not_dissected(folder):
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"activations_fn: a module of PyTorch; expected what dissection\.from_torch"):
        run(torch.nn.ReLU(), folder, None)
