"""Passes over devices, processes, kills and caches: the counts are the same, and nothing old is met."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from broden_layout import write_map
from small_network import network, run, thirteen_images

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.dissection.kept import KeptSums
from interpjax.dissection.thresholds import TopImages

JOB = Path(__file__).parent / "streaming_job.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return thirteen_images(tmp_path_factory.mktemp("data") / "broden")


class Restored(TopImages):
    """Top images that take the place of others."""

    def restore(self, state, done):
        self.merge(state)


def start(folder, out, **settings):
    out.mkdir(parents=True)
    file = out / "settings.json"
    file.write_text(json.dumps({"broden": str(folder), "out": str(out), "devices": 1} | settings))
    compiled = {  # is kept, since the jobs compile the same
        "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return subprocess.Popen(
        [sys.executable, str(JOB), str(file)], stderr=subprocess.PIPE, text=True, env=os.environ | compiled
    )


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
    assert int((out / "calls").read_text()) == 7
    return results


@pytest.mark.long
@pytest.mark.parametrize("devices", [2, 4])
def test_the_number_of_devices_changes_nothing(folder, tmp_path, expected, devices):
    finish(start(folder, tmp_path / "out", devices=devices))
    assert_equal(load(tmp_path / "out"), expected)


@pytest.mark.long
def test_two_processes_with_two_devices_each_change_nothing(folder, tmp_path, expected):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    settings = {"devices": 2, "processes": 2, "address": address}
    finish(*(start(folder, tmp_path / f"{number}", process=number, **settings) for number in (0, 1)))
    for number in (0, 1):
        assert_equal(load(tmp_path / f"{number}"), expected)


@pytest.mark.parametrize("kill_at", [pytest.param(at, marks=pytest.mark.long) for at in (5, 7)])
def test_a_killed_dissection_goes_on_from_its_last_shard(folder, tmp_path, expected, kill_at):
    """Batches of two, shards of four images: at call 5 two shards are done, at call 7 three."""
    cache = {"cache": str(tmp_path / "cache")}
    finish(start(folder, tmp_path / "killed", kill_at=kill_at, **cache), code=-signal.SIGKILL)
    finish(start(folder, tmp_path / "again", **cache))
    assert_equal(load(tmp_path / "again"), expected)
    assert int((tmp_path / "again" / "calls").read_text()) == {5: 3, 7: 1}[kill_at]
    finish(start(folder, tmp_path / "read", **cache))
    assert_equal(load(tmp_path / "read"), expected)
    assert int((tmp_path / "read" / "calls").read_text()) == 0


def test_nothing_old_is_met_where_anything_changed(folder, tmp_path):
    cache = tmp_path / "cache"
    first, calls = network()
    before = run(first, folder, cache)["layer"]
    assert len(calls) == 2
    again, calls = network()
    np.testing.assert_array_equal(run(again, folder, cache)["layer"].intersection, before.intersection)
    assert calls == []
    cut, calls = network()  # another cut counts nothing anew
    assert run(cut, folder, cache, protocol=dissection.get_protocol("paper", detector_iou=0.1))["layer"]
    assert calls == []
    for change in [{"scale": 2.0}, {"name": "other"}, {"mean": 9.0}, {"layers": ("layer", "other")}]:
        other, calls = network(**change)
        run(other, folder, cache, layers=change.get("layers", ("layer",)))
        assert len(calls) == 2, change
    for settings in [
        {"protocol": dissection.get_protocol("all-pixels")},
        {"protocol": dissection.get_protocol("paper", top_quantile=0.1)},
        {"image_size": 64},
        {"top_images": 2},
    ]:
        other, calls = network()
        run(other, folder, cache, **settings)
        assert len(calls) == 2, settings
    label_map = folder / "images" / "more3_color.png"
    content = label_map.read_bytes()
    write_map(label_map, np.ones((16, 16), int))
    other, calls = network()
    run(other, folder, cache)
    label_map.write_bytes(content)
    assert len(calls) == 2


def test_a_damaged_cache_is_named_and_a_plain_function_has_none(folder, tmp_path):
    first, _ = network()
    run(first, folder, tmp_path)
    (file,) = tmp_path.glob("*/results-1-of-1.npz")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"results-1-of-1.npz: damaged .* remove it to begin this pass anew"):
        run(first, folder, tmp_path)
    with pytest.raises(ValueError, match="cache: activations_fn is a plain function"):
        run(lambda images: {}, folder, tmp_path)


def test_progress_keeps_whole_shards_and_each_process_its_own(tmp_path):
    top = Restored(2, 1)
    top.update(np.array([3, 4]), np.array([[1.0], [2.0]]))
    progress = KeptSums(tmp_path, {"weights": 1}, every=3, process=(0, 2))
    progress.save("pass", top, 2)
    assert progress.restore("pass", Restored(2, 1)) == 0
    progress.save("pass", top, 3)
    restored = Restored(2, 1)
    assert progress.restore("pass", restored) == 3
    np.testing.assert_array_equal(restored.numbers, [[4, 3]])
    for other in [
        KeptSums(tmp_path, {"weights": 1}, every=3, process=(1, 2)),
        KeptSums(tmp_path, {"weights": 2}, every=3, process=(0, 2)),
    ]:
        assert other.restore("pass", Restored(2, 1)) == 0
    assert not list(tmp_path.rglob("*.tmp*"))


def test_progress_is_kept_once_a_shard_is_whole_even_between_groups_of_batches(tmp_path):
    """With groups of four batches and shards of three, what is done is hardly ever a whole number of shards."""
    top, progress, kept = Restored(1, 1), KeptSums(tmp_path, {}, every=3, process=(0, 1)), []
    top.update(np.array([0]), np.ones((1, 1)))
    for done in range(4, 21, 4):
        progress.save("pass", top, done)
        kept.append(KeptSums(tmp_path, {}, every=3, process=(0, 1)).restore("pass", Restored(1, 1)))
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
    assert len(calls) == 2
    for protocol, result in zip(protocols, together, strict=True):
        alone = run(network()[0], folder, None, protocol=protocol)
        assert_equal({"layer": result["layer"]}, alone)
    assert together[0]["layer"].preprocessing == {"mean": 0.0, "std": 255.0, "channels": "RGB"}
    with pytest.raises(ValueError, match="protocols: expected one at least, and all of the same tap"):
        dissection.dissect_all(
            shared,
            load_broden(folder),
            layers=("layer",),
            protocols=[protocols[0], dissection.get_protocol("cgl")],
        )
