"""Training images that are held out: the same share of every class, seeded, never trained on."""

import json

import cv2
import numpy as np
import pytest
import tiny

import interpjax
from interpjax.config.checks import validate
from interpjax.data.sources import Source
from interpjax.data.splits import ArraySplit, ClassSplit
from interpjax.data.validation import choose, hold_out
from interpjax.training.metrics import read_metrics

NAMES = ("cat", "dog", "owl")


@pytest.mark.parametrize("share", [0.1, 0.25, 1 / 3, 0.5])
def test_every_class_gives_its_share(share):
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 25, 13]))
    held = choose(labels, share, 0, NAMES)
    assert held.sum() == np.floor(share * 98 + 0.5)
    for label, count in enumerate((60, 25, 13)):
        assert abs(held[labels == label].sum() - share * count) <= 1
    np.testing.assert_array_equal(held, choose(labels, share, 0, NAMES))
    assert (held != choose(labels, share, 1, NAMES)).any()


class Own:
    """A split that has no list of labels."""

    def __init__(self, whole):
        self.whole = whole

    def __len__(self):
        return len(self.whole)

    def __getitem__(self, index):
        return self.whole[index]


@pytest.mark.parametrize("kind", ["array", "own", "classes"])
def test_both_parts_together_are_the_training_images(kind):
    labels = np.repeat([0, 1, 2], 8).astype(np.int64)
    images = np.arange(24, dtype=np.uint8).reshape(24, 1, 1, 1).repeat(3, 3)
    whole = ArraySplit(images, labels)
    made = {"array": whole, "own": Own(whole), "classes": ClassSplit(whole, np.arange(24), (0, 1, 2), labels)}[kind]
    parts = hold_out(Source(made, whole, NAMES), 0.25, 0)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (18, 6, 24)
    numbers = [[int(split[i]["image"].flat[0]) for i in range(len(split))] for split in (parts.train, parts.validation)]
    assert sorted(numbers[0] + numbers[1]) == list(range(24))
    assert sorted(number // 8 for number in numbers[1]) == [0, 0, 1, 1, 2, 2]
    assert parts.validation[0]["label"] == numbers[1][0] // 8


def test_shares_that_leave_nothing_are_refused():
    labels = np.array([0] * 9 + [1])
    with pytest.raises(ValueError, match=r"config.data.validation = 0.01: this is none of the 10 training images"):
        choose(labels, 0.01, 0, NAMES)
    with pytest.raises(ValueError, match=r"config.data.validation = 0.9: no image of the class dog is left to train"):
        choose(labels, 0.9, 0, NAMES)
    with pytest.raises(ValueError, match=r"config.data.validation = 1.0: expected a number below 1"):
        validate(tiny.tiny_config(data__validation=1.0))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of folders of images, with a quarter of those to train on held out."""
    folder, rng = tmp_path_factory.mktemp("held"), np.random.default_rng(0)
    for split, label in ((split, label) for split in ("train", "test") for label in ("dark", "light")):
        (folder / split / label).mkdir(parents=True)
        for number in range(8):
            image = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
            cv2.imwrite(str(folder / split / label / f"{number}.png"), image)
    config = tiny.tiny_config(
        "image_folder_gbn",
        data__train=str(folder / "train"),
        data__test=str(folder / "test"),
        data__validation=0.25,
        data__image_size=16,
        data__resize_size=16,
        model__name="two_figures_cnn",
        training__num_steps=4,
        training__eval_every_steps=2,
    )
    return config, folder, interpjax.run(config, folder / "run", ("train", "evaluate"))


@pytest.mark.long
def test_a_run_tells_of_the_images_held_out(trained, capsys):
    config, folder, summary = trained
    rows = [row for row in read_metrics(folder / "run" / "metrics.jsonl") if "validation/accuracy" in row]
    assert [row["step"] for row in rows] == [2, 4]
    for name in ("accuracy", "cross_entropy"):
        assert rows[-1][f"validation/{name}"] == summary[f"validation_{name}"]
        assert rows[-1][f"eval/{name}"] == summary[name]
    assert summary["skipped_images"] == {"train": [], "validation": [], "test": []}
    data = json.loads((folder / "run" / "data.json").read_text())
    assert (data["train_images"], data["validation_images"], data["test_images"]) == (12, 4, 16)
    (folder / "run" / "stages" / "evaluate.json").unlink()
    again = interpjax.run(config, folder / "run", ("evaluate",))
    assert again["validation_cross_entropy"] == pytest.approx(summary["validation_cross_entropy"], rel=1e-6)
    assert "validation accuracy" in capsys.readouterr().out


def test_two_figures_are_held_out_once_they_are_rendered(tmp_path):
    config = tiny.tiny_config(data__validation=0.2, data__directory=str(tmp_path / "figures"))
    source = tiny.open_source(config, tmp_path, ("train", "evaluate"))
    assert not (tmp_path / "figures").exists()
    assert (len(source.train), len(source.validation), len(source.test)) == (32, 8, 12)
    names = {split[i]["name"] for split in (source.train, source.validation) for i in range(len(split))}
    assert len(names) == 40
    assert len(tiny.open_source(config, tmp_path, ("dissect",)).train) == 32
