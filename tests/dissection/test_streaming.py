"""Passes over devices, processes, kills and caches: the counts are the same, and nothing old is met."""

import dataclasses
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from broden_layout import make_broden, write_map

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.data.images import SkippedImages
from interpjax.dissection.progress import Progress
from interpjax.dissection.top_images import TopImages

JOB = Path(__file__).parent / "streaming_job.py"
IMAGES = 13


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Thirteen images, so that the last batch of two is filled up."""
    path, rng = make_broden(tmp_path_factory.mktemp("data") / "broden"), np.random.default_rng(1)
    rows = (path / "index.csv").read_text().splitlines()[:1]
    for number in range(IMAGES):
        name = f"more{number}"
        image = cv2.resize(rng.integers(0, 255, (6, 6, 3)).astype(np.uint8), (32, 32))
        cv2.imwrite(str(path / "images" / f"{name}.png"), image)
        write_map(path / "images" / f"{name}_color.png", rng.integers(0, 3, (16, 16)))
        write_map(path / "images" / f"{name}_object.png", 300 * rng.integers(0, 2, (16, 16)))
        maps = f"{name}_color.png," + (f"{name}_object.png" if number % 3 else "")
        rows.append(f"{name}.png,train,32,32,16,16,{maps},{4 if number % 2 else ''}")
    (path / "index.csv").write_text("\n".join(rows) + "\n")
    return path


def start(folder, out, **settings):
    out.mkdir(parents=True)
    file = out / "settings.json"
    file.write_text(json.dumps({"broden": str(folder), "out": str(out), "devices": 1} | settings))
    return subprocess.Popen([sys.executable, str(JOB), str(file)], stderr=subprocess.PIPE, text=True)


def finish(*jobs, code=0):
    errors = [job.communicate(timeout=300)[1] for job in jobs]
    assert [job.returncode for job in jobs] == [code] * len(jobs), errors[0][-3000:]


def load(out):
    return {path.stem: dissection.Dissection.load(path) for path in sorted(out.glob("*.npz"))}


def assert_equal(ours, expected):
    assert ours.keys() == expected.keys()
    for name in expected:
        for field in ("thresholds", "intersection", "unit_area", "label_area", "pixels", "top_images", "top_values"):
            np.testing.assert_array_equal(getattr(ours[name], field), getattr(expected[name], field), err_msg=field)
        assert ours[name].protocol == expected[name].protocol


@pytest.fixture(scope="module")
def expected(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("one") / "out"
    finish(start(folder, out))
    results = load(out)
    assert len(results) == 4
    assert all(result.intersection.any() for result in results.values())
    assert int((out / "calls").read_text()) == 2 * 7
    return results


@pytest.mark.parametrize("devices", [2, 4])
def test_the_number_of_devices_changes_nothing(folder, tmp_path, expected, devices):
    finish(start(folder, tmp_path / "out", devices=devices))
    assert_equal(load(tmp_path / "out"), expected)


def test_two_processes_with_two_devices_each_change_nothing(folder, tmp_path, expected):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    settings = {"devices": 2, "processes": 2, "address": address}
    finish(*(start(folder, tmp_path / f"{number}", process=number, **settings) for number in (0, 1)))
    for number in (0, 1):
        assert_equal(load(tmp_path / f"{number}"), expected)


@pytest.mark.parametrize("kill_at", [5, 11])
def test_a_killed_dissection_goes_on_from_its_last_shard(folder, tmp_path, expected, kill_at):
    """Batches of two, shards of four images: at call 5 the first pass has two shards done, at 11 the second has one."""
    cache = {"cache": str(tmp_path / "cache")}
    finish(start(folder, tmp_path / "killed", kill_at=kill_at, **cache), code=-signal.SIGKILL)
    finish(start(folder, tmp_path / "again", **cache))
    assert_equal(load(tmp_path / "again"), expected)
    assert int((tmp_path / "again" / "calls").read_text()) == {5: 3 + 7, 11: 7 - 2}[kill_at]
    finish(start(folder, tmp_path / "read", **cache))
    assert_equal(load(tmp_path / "read"), expected)
    assert int((tmp_path / "read" / "calls").read_text()) == 0


def network(scale=1.0, name="small", layers=("layer",), mean=0.0):
    """Maps of four cells' means; counts its calls."""
    calls = []

    def apply(variables, images):
        n, h, w, _ = images.shape
        maps = images.reshape(n, h // 4, 4, w // 4, 4, 3).mean(axis=(2, 4)) * variables
        return dict.fromkeys(layers, maps)

    made = dissection.from_jax(
        apply, np.float32(scale), layers=layers, preprocessing=dissection.Preprocessing(mean, 255), name=name
    )

    def counted(images):
        calls.append(len(images))
        return made.activations(images)

    return dataclasses.replace(made, activations=counted), calls


def run(network, folder, cache, layers=("layer",), protocol=None, **settings):
    return dissection.dissect(
        network, load_broden(folder), layers=layers, protocol=protocol, batch_size=8, cache=cache, **settings
    )


def test_nothing_old_is_met_where_anything_changed(folder, tmp_path):
    cache = tmp_path / "cache"
    first, calls = network()
    before = run(first, folder, cache)["layer"]
    assert len(calls) == 4
    again, calls = network()
    np.testing.assert_array_equal(run(again, folder, cache)["layer"].intersection, before.intersection)
    assert calls == []
    cut, calls = network()  # another cut counts nothing anew
    assert run(cut, folder, cache, protocol=dissection.get_protocol("paper", detector_iou=0.1))["layer"]
    assert calls == []
    for change in [{"scale": 2.0}, {"name": "other"}, {"mean": 9.0}, {"layers": ("layer", "other")}]:
        other, calls = network(**change)
        run(other, folder, cache, layers=change.get("layers", ("layer",)))
        assert len(calls) == 4, change
    for settings in [
        {"protocol": dissection.get_protocol("all-pixels")},
        {"protocol": dissection.get_protocol("paper", top_quantile=0.1)},
        {"image_size": 64},
        {"top_images": 2},
    ]:
        other, calls = network()
        run(other, folder, cache, **settings)
        assert len(calls) == 4, settings
    label_map = folder / "images" / "more3_color.png"
    content = label_map.read_bytes()
    write_map(label_map, np.ones((16, 16), int))
    other, calls = network()
    run(other, folder, cache)
    label_map.write_bytes(content)
    assert len(calls) == 4


def test_a_damaged_cache_is_named_and_a_plain_function_has_none(folder, tmp_path):
    first, _ = network()
    run(first, folder, tmp_path)
    (file,) = tmp_path.glob("*/counts-1-of-1.npz")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"counts-1-of-1.npz: damaged .* remove it to begin this pass anew"):
        run(first, folder, tmp_path)
    with pytest.raises(ValueError, match="cache: activations_fn is a plain function"):
        run(lambda images: {}, folder, tmp_path)


def test_progress_keeps_whole_shards_and_each_process_its_own(tmp_path):
    top = TopImages(2, 1)
    top.update(np.array([3, 4]), np.array([[1.0], [2.0]]))
    progress = Progress(tmp_path, {"weights": 1}, every=3, process=(0, 2))
    progress.save("pass", top, 2)
    assert progress.restore("pass", TopImages(2, 1)) == 0
    progress.save("pass", top, 3)
    restored = TopImages(2, 1)
    assert progress.restore("pass", restored) == 3
    np.testing.assert_array_equal(restored.numbers, [[4, 3]])
    for other in [
        Progress(tmp_path, {"weights": 1}, every=3, process=(1, 2)),
        Progress(tmp_path, {"weights": 2}, every=3, process=(0, 2)),
    ]:
        assert other.restore("pass", TopImages(2, 1)) == 0
    assert not list(tmp_path.rglob("*.tmp*"))


def test_progress_is_kept_once_a_shard_is_whole_even_between_groups_of_batches(tmp_path):
    """With groups of four batches and shards of three, what is done is hardly ever a whole number of shards."""
    top, progress, kept = TopImages(1, 1), Progress(tmp_path, {}, every=3, process=(0, 1)), []
    top.update(np.array([0]), np.ones((1, 1)))
    for done in range(4, 21, 4):
        progress.save("pass", top, done)
        kept.append(Progress(tmp_path, {}, every=3, process=(0, 1)).restore("pass", TopImages(1, 1)))
    assert kept == [4, 8, 12, 16, 20]
    (file,) = tmp_path.glob("*/pass-1-of-1.npz")
    written = file.stat().st_mtime_ns
    progress.finish("pass", top, 20)  # nothing came since
    assert file.stat().st_mtime_ns == written


def test_layer_names_with_any_character_are_read_back(folder, tmp_path):
    name = "block/1|conv"
    before = run(network(layers=(name,))[0], folder, tmp_path, layers=(name,))
    again, calls = network(layers=(name,))
    np.testing.assert_array_equal(run(again, folder, tmp_path, layers=(name,))[name].iou, before[name].iou)
    assert calls == []


def test_several_protocols_share_their_passes_and_equal_each_alone(folder):
    protocols = [
        dissection.get_protocol("paper"),
        dissection.get_protocol("paper", top_quantile=0.05),
        dissection.get_protocol("lite"),
        dissection.get_protocol("caffe"),
    ]
    shared, calls = network()
    together = dissection.dissect_all(shared, load_broden(folder), layers=("layer",), protocols=protocols, batch_size=8)
    assert len(calls) == 4
    for protocol, result in zip(protocols, together, strict=True):
        alone = run(network()[0], folder, None, protocol=protocol)
        assert_equal({"layer": result["layer"]}, alone)
    assert together[0]["layer"].preprocessing == {"mean": 0.0, "std": 255.0, "channels": "RGB"}
    with pytest.raises(ValueError, match="protocols: needed is one at least, and all of the same tap"):
        dissection.dissect_all(
            shared,
            load_broden(folder),
            layers=("layer",),
            protocols=[protocols[0], dissection.get_protocol("cgl")],
        )


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({"other": np.zeros((8, 4, 4, 2), np.float32)}, "layer 'layer': activations_fn returned only other"),
        (
            {"layer": np.zeros((3, 4, 4, 2), np.float32)},
            r"layer 'layer': activations_fn returned the shape \(3, 4, 4, 2\)",
        ),
        ({"layer": np.full((8, 4, 4, 2), np.nan, np.float32)}, "layer layer: an activation is not finite"),
    ],
)
def test_wrong_activations_are_refused(folder, maps, message):
    with pytest.raises(ValueError, match=message):
        run(lambda images: maps, folder, None)


def test_batches_of_unreadable_images_are_left_out_and_noted(folder):
    """Both images of a batch: what is left is as if they were not there."""
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
    assert len(most) == 2 * 7
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


def test_categories_that_the_data_lack_are_not_missed_unless_all_are(folder):
    lite = run(network()[0], folder, None, protocol=dissection.get_protocol("lite"))["layer"]
    assert lite.categories == ("color", "object", "scene")
    with pytest.raises(ValueError, match=r"protocol.categories = \('texture',\): .* has only color, object, scene"):
        run(network()[0], folder, None, protocol=dissection.get_protocol("paper", categories=("texture",)))
