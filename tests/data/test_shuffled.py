"""Training images with each other's labels: a permutation, seeded, of what is trained on and of nothing else."""

import json

import numpy as np
import pytest
import tiny

import interpjax
from interpjax.config import from_json, override
from interpjax.data.shuffled import shuffle_labels
from interpjax.data.sources import Source
from interpjax.data.splits import ArraySplit, Deferred
from interpjax.prepare.sources import open_splits

NAMES = ("cat", "dog", "owl")


def whole():
    images = np.arange(60, dtype=np.uint8).reshape(60, 1, 1, 1).repeat(3, 3)
    return ArraySplit(images, np.repeat([0, 1, 2], [30, 20, 10]))


def labels_of(split):
    return [split[number]["label"] for number in range(len(split))]


@pytest.mark.parametrize("deferred", [False, True])
def test_labels_are_permuted_and_images_stay(deferred):
    train = Deferred(whole, 60) if deferred else whole()
    source = shuffle_labels(Source(train, whole(), NAMES), 0)
    labels = labels_of(source.train)
    assert sorted(labels) == sorted(whole().labels)
    assert 20 < sum(np.equal(labels, whole().labels)) < 40  # of 23.3 that chance keeps, 60 with no permutation
    assert [source.train[number]["image"][0, 0, 0] for number in range(60)] == list(range(60))
    assert labels_of(source.test) == list(whole().labels)
    again, other = (shuffle_labels(Source(whole(), None, NAMES), seed).train for seed in (0, 1))
    assert labels_of(again) == labels
    assert labels_of(other) != labels


def test_nothing_is_read_before_it_is_needed():
    def refuse():
        raise AssertionError("opened")

    source = shuffle_labels(Source(Deferred(refuse, 60), None, NAMES), 0)
    assert len(source.train) == 60


def test_what_is_held_out_keeps_its_labels(tmp_path):
    config = tiny.tiny_config("two_figures_wd", data__validation=0.2)
    plain, shuffled = (
        open_splits(override(config, {"data.shuffled_labels": value}), tmp_path, ("train", "test"))
        for value in (False, True)
    )
    assert labels_of(shuffled.validation) == labels_of(plain.validation)
    assert labels_of(shuffled.train) != labels_of(plain.train)
    assert sorted(labels_of(shuffled.train)) == sorted(labels_of(plain.train))


def test_a_run_knows_that_its_labels_are_shuffled(tmp_path):
    config = tiny.tiny_config("two_figures_wd", training__num_steps=2, data__shuffled_labels=True)
    interpjax.run(config, tmp_path, stages=("train",))
    assert from_json((tmp_path / "config.json").read_text()).data.shuffled_labels
    facts = json.loads((tmp_path / "data.json").read_text())
    assert facts["train_images"] == config.data.two_figures.train_images
    with pytest.raises(interpjax.errors.UserError, match=r"config\.data\.shuffled_labels = False, there True"):
        interpjax.run(override(config, {"data.shuffled_labels": False}), tmp_path, stages=("train",))
