"""Settings whose seeds have images of their own, and runs of which some images are held out."""

import pytest
from elements import Elements
from made_up_runs import dissected, write_run

import interpjax
from interpjax.comparison.runs import read_runs
from interpjax.comparison.settings import group_runs
from interpjax.comparison.tables import paired_differences


def write_drawn(folder, detects, seed, data_seed, **fields):
    """A run whose images are drawn by a seed of the data."""
    facts = {"labelled images": str(data_seed), "test_images by name, order, label and size": str(data_seed)}
    return write_run(
        folder, {"conv1": dissected(detects)}, facts=facts, seed=seed, data__two_figures__seed=data_seed, **fields
    )


def write_both(folder, strong_seeds, data_seed=lambda seed: seed):
    """Runs of two settings: weak with the seeds 0 and 1 of images and all else, and strong, which detects one more."""
    weak = [write_drawn(folder / f"weak{seed}", [0, 1], seed, seed) for seed in (0, 1)]
    strong = {"regularizer__block_norm__strength": 0.1}
    return weak + [
        write_drawn(folder / f"strong{seed}", [0, 1, 2], seed, data_seed(seed), **strong) for seed in strong_seeds
    ]


def test_seeds_of_a_setting_may_have_images_of_their_own(tmp_path):
    folders = write_both(tmp_path, (0, 1))
    settings = group_runs(read_runs(folders))
    assert [[run.name for run in setting.runs] for setting in settings] == [["weak0", "weak1"], ["strong0", "strong1"]]
    (pair,) = paired_differences(settings)
    assert (pair.seeds, pair.obstacles) == ((0, 1), [])
    assert {each.quantity: each.difference.value for each in pair.differences}["interpretability_score"] == 1
    interpjax.compare(folders, tmp_path / "page.html")
    words = Elements((tmp_path / "page.html").read_text()).words
    assert "Seeds have labelled images of their own here" in words
    assert "Not all of these runs were measured in the same way" not in words


def test_scores_of_one_seed_with_other_images_are_not_tested(tmp_path):
    folders = write_both(tmp_path, (0, 1), lambda seed: 0)
    settings = group_runs(read_runs(folders))
    assert [len(setting.runs) for setting in settings] == [2, 2]
    (pair,) = paired_differences(settings)
    assert pair.differences == []
    assert "scores are not held against each other, since the labelled images are others" in pair.obstacles
    interpjax.compare(folders, tmp_path / "page.html")
    words = Elements((tmp_path / "page.html").read_text()).words
    assert "strong1 , beside weak1 : the labelled images are others; the test images are others." in words
    assert "strong0 , beside" not in words


def test_a_seed_that_one_setting_alone_has_is_no_other_measure(tmp_path):
    folders = write_both(tmp_path, (1, 2))
    interpjax.compare(folders, tmp_path / "page.html")
    assert "Not all of these runs were measured in the same way" not in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("changed", [{"data__source": "image_folder"}, {"dissection__broden": "a"}])
def test_images_that_the_seed_does_not_draw_have_to_be_the_same(tmp_path, changed):
    folders = [write_drawn(tmp_path / f"run{seed}", [0, 1], seed, seed, **changed) for seed in (0, 1)]
    assert [len(setting.runs) for setting in group_runs(read_runs(folders))] == [1, 1]


def test_runs_of_which_images_are_held_out_have_the_same_folders(tmp_path):
    def folders(*trained_on):
        return [
            write_run(
                tmp_path / f"{trained_on[0]}{trained_on[1]}{seed}",
                {"conv1": dissected([0])},
                facts={"train_images": 90, "train_images by name, order, label and size": str(seed)},
                seed=seed,
                data__source="image_folder",
                data__train=folder,
                data__validation=0.1,
            )
            for seed, folder in enumerate(trained_on)
        ]

    assert len(group_runs(read_runs(folders("clean", "clean")))) == 1
    assert len(group_runs(read_runs(folders("clean", "noisy")))) == 2


def test_runs_whose_images_do_and_do_not_go_with_the_seed_are_of_two_settings(tmp_path):
    seeds = {"first": (0, 0), "images_kept": (1, 0), "images_drawn": (1, 1)}
    folders = [write_drawn(tmp_path / name, [0, 1], *both) for name, both in seeds.items()]
    settings = group_runs(read_runs(folders))
    assert [[run.name for run in setting.runs] for setting in settings] == [["first", "images_kept"], ["images_drawn"]]
