"""Some of the classes of a data set, from folders and from TFDS."""

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
import tiny

import interpjax
from interpjax import config as config_lib
from interpjax.config.checks import validate
from interpjax.configs import common
from interpjax.data import subsets
from interpjax.data.images import SkippedImages
from interpjax.data.pipeline import train_iterator
from interpjax.prepare.sources import read_pipeline

LABELS = {"train": (3, 0, 4, 1, 3, 2, 4, 0, 3), "validation": (0, 3, 3, 1)}
NAMES = ("ant", "bee", "cat", "dog", "eel")


class FiveClasses(tfds.core.GeneratorBasedBuilder):
    """Images whose grey tells their label."""

    VERSION = tfds.core.Version("1.0.0")
    name = "five_classes"

    def _info(self):
        image = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
        features = {"image": image, "label": tfds.features.ClassLabel(names=list(NAMES))}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in LABELS}

    def _generate_examples(self, split):
        for i, label in enumerate(LABELS[split]):
            image = np.full((16, 16, 3), 50 * label, np.uint8)
            yield i, {"image": cv2.imencode(".png", image)[1].tobytes(), "label": label}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    FiveClasses(data_dir=str(folder), file_format="array_record").download_and_prepare()
    return folder


@pytest.fixture
def folders(tmp_path):
    for split, labels in (("train", LABELS["train"]), ("test", range(5))):
        for i, label in enumerate(labels):
            path = tmp_path / split / NAMES[label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((16, 16, 3), 50 * label, np.uint8))
    return tmp_path


def of_tfds(folder, classes, **fields):
    given = {"data.directory": str(folder), "data.tfds_name": "five_classes", "data.classes": classes}
    sizes = {"data.image_size": 16, "data.resize_size": 16, "data.augment": "none", "training.batch_size": 6}
    return config_lib.override(interpjax.get_config("places365_gbn"), given | sizes | fields)


def of_folders(folder, classes):
    paths = {f"data.{split}": str(folder / split) for split in ("train", "test")}
    return config_lib.override(interpjax.get_config("image_folder_gbn"), paths | {"data.classes": classes})


def labels(split):
    return [split[i]["label"] for i in range(len(split))]


def test_classes_of_tfds_are_renumbered_in_their_order(prepared, tmp_path):
    config = of_tfds(prepared, (4, "dog"))
    validate(config)
    source = tiny.open_source(config, tmp_path)
    assert source.class_names == ("eel", "dog")
    assert labels(source.train) == [1, 0, 1, 0, 1]
    assert source.train[1]["name"] == "five_classes/train[2]"
    assert labels(source.test) == [1, 1]  # there is no eel, which a split for tests may lack
    batch = next(train_iterator(source.train, read_pipeline(config), SkippedImages(), shard=(0, 1)))
    np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], np.where(batch["label"] == 0, 200, 150))


def test_classes_of_folders_are_renumbered_in_their_order(folders):
    source = tiny.open_source(of_folders(folders, ("dog", 0, "cat")), folders)
    assert source.class_names == ("dog", "ant", "cat")
    assert labels(source.train) == [1, 1, 2, 0, 0, 0]  # in the order of the folders
    assert [cv2.imread(source.train[i]["name"])[0, 0, 0] for i in range(3)] == [0, 0, 100]
    assert labels(source.test) == [1, 2, 0]


def test_labels_are_read_once_and_a_bad_file_is_made_anew(prepared, tmp_path, capsys, monkeypatch):
    config = of_tfds(prepared, (0, 3))
    workdir, new = tmp_path, tmp_path / "data"
    labels(tiny.open_source(config, workdir).test)
    first = labels(tiny.open_source(config, workdir).train)
    assert "reading the labels of 9 records of five_classes/train once" in capsys.readouterr().err
    cache = new / "labels_five_classes-1.0.0-train-9.npy"
    assert np.load(cache).tolist() == list(LABELS["train"])
    for spoilt in (cache.read_bytes()[:100], b"", None, np.arange(8, dtype=np.int32), np.full(9, 5, np.int32)):
        if isinstance(spoilt, np.ndarray):
            np.save(cache, spoilt)
        elif spoilt is not None:
            cache.write_bytes(spoilt)
        else:
            cache.unlink()
        assert labels(tiny.open_source(config, workdir).train) == first
        assert np.load(cache).tolist() == list(LABELS["train"])
    assert len(list(cache.parent.iterdir())) == 2
    monkeypatch.setattr(subsets, "tqdm", None)  # nothing is read again
    assert labels(tiny.open_source(config, workdir).train) == first


def test_labels_of_other_data_are_noticed(prepared, tmp_path):
    config = of_tfds(prepared, (0, 3))
    (tmp_path / "data").mkdir()
    np.save(
        tmp_path / "data" / "labels_five_classes-1.0.0-train-9.npy", np.array([0, 3, 0, 0, 0, 0, 0, 0, 0], np.int32)
    )
    source = tiny.open_source(config, tmp_path)
    with pytest.raises(ValueError, match=r"five_classes/train\[2\]: its label is 4, .* remove the labels_"):
        labels(source.train)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((0, "emu"), r"config.data.classes: no class 'emu'; expected numbers from 0 to 4 or names: ant, bee"),
        ((0, 5), r"config.data.classes: no class 5; expected numbers from 0 to 4"),
        ((3, 1, "dog"), r"config.data.classes: the class 'dog' \(dog\) is there twice"),
    ],
)
def test_wrong_classes_are_named_before_anything_is_read(prepared, tmp_path, classes, message):
    with pytest.raises(ValueError, match=message):
        tiny.open_source(of_tfds(prepared, classes), tmp_path)
    assert not list(tmp_path.iterdir())


def test_classes_without_examples_are_named(prepared, tmp_path):
    with pytest.raises(ValueError, match=r"config.data.test: no example of the class 2 of config.data.classes"):
        len(tiny.open_source(of_tfds(prepared, (2, 4)), tmp_path).test)
    swapped = {"data.train": "validation", "data.test": "train"}
    with pytest.raises(ValueError, match=r"config.data.train: no example of the class 4 of config.data.classes"):
        len(tiny.open_source(of_tfds(prepared, (3, 4), **swapped), tmp_path).train)


@pytest.mark.parametrize("classes", [(1,), (1, 2.0), (True, 2)])
def test_classes_are_two_names_or_numbers_or_more(classes):
    config = config_lib.override(interpjax.get_config("places365_gbn"), {"data.classes": classes})
    with pytest.raises(ValueError, match=r"config.data.classes = .*: expected names or numbers of two classes or more"):
        validate(config)


def test_two_figures_has_no_classes_to_choose():
    config = config_lib.override(interpjax.get_config("two_figures_gbn"), {"data.classes": (0, 1)})
    with pytest.raises(ValueError, match=r"config.data.classes = \(0, 1\): with data.source two_figures expected \(\)"):
        validate(config)


def test_the_two_subsets_of_places365_follow_their_rule_and_share_no_class():
    drawn = np.random.Generator(np.random.PCG64(50)).permutation(365)
    for numbers, part in ((common.PLACES50_1, drawn[:50]), (common.PLACES50_2, drawn[50:100])):
        assert list(numbers) == sorted(part.tolist())
    assert len({*common.PLACES50_1, *common.PLACES50_2}) == 100
