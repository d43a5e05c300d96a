"""The published recipe, whole, on TFDS data of the right form: two steps of it."""

import shutil

import broden_layout
import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
import tiny

import interpjax
from interpjax import config as config_lib

IMAGES = 8


class Places365Small(tfds.core.GeneratorBasedBuilder):
    """A few images in the form of the real one: 256×256 JPEG, 365 classes, no labels in its split test."""

    VERSION = tfds.core.Version("2.1.0")
    name = "places365_small"

    def _info(self):
        image = tfds.features.Image(shape=(256, 256, 3), encoding_format="jpeg")
        features = {"image": image, "label": tfds.features.ClassLabel(num_classes=365)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(0), "validation": self._generate_examples(1)}

    def _generate_examples(self, stream):
        rng = np.random.default_rng(stream)
        for i in range(IMAGES):
            image = rng.integers(0, 255, (256, 256, 3)).astype(np.uint8)
            yield i, {"image": cv2.imencode(".jpg", image)[1].tobytes(), "label": i * 40}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    builder = Places365Small(data_dir=str(folder / "tfds"), file_format="array_record")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    broden_layout.make_broden(folder / "broden")
    return folder


@pytest.mark.long
def test_whole_config_runs_two_steps(prepared):
    name = "places365_gbn"  # its pair differs in two strengths alone: test_config.py
    data = {"data.directory": str(prepared / "tfds"), "dissection.broden": str(prepared / "broden")}
    config = config_lib.override(
        interpjax.get_config(name), data | {"training.num_steps": 2, "training.batch_size": IMAGES}
    )
    summary = interpjax.run(config, prepared / name)
    assert [layer["units"] for layer in summary["layers"].values()] == [64, 192, 384, 256, 256]
    _, model, variables = interpjax.load(prepared / name)
    assert model.num_classes == 365
    assert variables["params"]["fc1"]["kernel"].shape == (9216, 4096)


def test_latest_whole_version_is_taken_and_another_format_refused(prepared, tmp_path):
    version = prepared / "tfds" / "places365_small" / "2.1.0"
    for name in ("2.9.0", "2.10.0", "incomplete.ABC_2.11.0"):
        shutil.copytree(version, tmp_path / "places365_small" / name)
    config = config_lib.override(interpjax.get_config("places365_gbn"), {"data.directory": str(tmp_path)})
    info = tmp_path / "places365_small" / "2.10.0" / "dataset_info.json"
    info.write_text(info.read_text().replace('"array_record"', '"tfrecord"'))
    with pytest.raises(ValueError, match=r"2.10.0 is in the format .*tfrecord; .*--file_format=array_record"):
        tiny.open_source(config, tmp_path)
    shutil.rmtree(info.parent)
    assert len(tiny.open_source(config, tmp_path).train) == IMAGES


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"data.directory": "/nowhere"},
            r"no prepared TFDS data set 'places365_small' in /nowhere/places365_small. "
            r"Put it there by `interpjax get places365 --to /nowhere`, or as /nowhere/places365_small/VERSION/",
        ),
        ({"data.test": "val"}, r"config.data.test = 'val': .* has no such split; choose one of train, validation"),
    ],
)
def test_missing_data_say_what_to_put_where(prepared, fields, message):
    given = {"data.directory": str(prepared / "tfds"), "dissection.broden": str(prepared / "broden")}
    config = config_lib.override(interpjax.get_config("places365_gbn"), given | fields)
    with pytest.raises(ValueError, match=message):
        interpjax.run(config, prepared / "never")
    assert not (prepared / "never").exists()
