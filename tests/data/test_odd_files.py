"""Pipes, odd names, damaged data sets, and two that render at once."""

import os
import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny

from interpjax import json_files
from interpjax.data import image_folder
from interpjax.data.images import BadImageError, read_image
from interpjax.data.two_figures import builder
from interpjax.errors import UserError

ODD = os.fsdecode(b"caf\xe9")  # a name in Latin-1, which is no UTF-8


@pytest.fixture
def folders(tmp_path) -> Path:
    for name in ("cats", ODD):
        for number in range(2):
            path = tmp_path / "train" / name / f"{ODD}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(".png", np.full((8, 8, 3), number, np.uint8))[1].tobytes())
    return tmp_path / "train"


def test_pipes_and_other_files_are_passed_over_with_a_count(folders, capsys):
    os.mkfifo(folders / "cats" / "pipe.png")
    for name in ("notes.txt", "Thumbs.db"):
        (folders / "cats" / name).touch()
    source = image_folder({"train": str(folders)})
    assert len(source.train) == 4
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "config.data.train: passed over 2 with a suffix that is no image's, such as " in told
    assert f" and 1 that are pipes, sockets or devices, such as {folders}/cats/pipe.png" in told
    with pytest.raises(BadImageError, match=r"pipe.png: is no file; expected a whole JPEG"):
        read_image(folders / "cats" / "pipe.png")


def test_names_that_are_no_unicode_are_told_and_written(folders):
    source = image_folder({"train": str(folders)})
    assert source.class_names == ("caf\\xe9", "cats")
    names = [source.train[number]["name"] for number in range(4)]
    json_files.to_text({"names": names}).encode()
    assert [read_image(source.train[number]["image"]).shape for number in range(4)] == [(8, 8, 3)] * 4
    (folders / "cats" / f"{ODD}0.png").write_bytes(b"x")
    with pytest.raises(BadImageError, match=r"cats/caf\\xe90.png: cannot be decoded") as told:
        read_image(folders / "cats" / f"{ODD}0.png")
    str(told.value).encode()


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    config = tiny.tiny_config(data__directory=str(folder))
    assert tiny.open_source(config, folder).train[0]
    (found,) = folder.glob("*/two_figures")
    return found


def damaged(file: Path, how: str) -> None:
    content = file.read_bytes()
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(
            {"cut": content[: len(content) // 2], "empty": b"", "other": b"\xff\xfe[]", "list": b"[]"}[how]
        )


def read_all(source) -> None:
    for number in range(len(source.train)):
        source.train[number]


@pytest.mark.parametrize("how", ["missing", "cut", "empty", "other", "list"])
@pytest.mark.parametrize("name", ["dataset_info.json", "features.json", "*train.array_record*"])
def test_damaged_data_set_is_named_and_rendered_again_once_it_is_removed(rendered, tmp_path, name, how):
    folder = tmp_path / rendered.parent.name / "two_figures" / "1.0.0"
    shutil.copytree(rendered.parent, folder.parents[1])
    damaged(next(folder.glob(name)), how)
    config = tiny.tiny_config(data__directory=str(tmp_path))
    with pytest.raises(UserError, match=rf"{folder}.* remove {folder}, and the same command renders it again"):
        read_all(tiny.open_source(config, tmp_path))
    shutil.rmtree(folder)
    read_all(tiny.open_source(config, tmp_path))


def test_two_that_render_one_data_set_at_once_share_it(tmp_path, monkeypatch, capsys):
    config = tiny.tiny_config(data__directory=str(tmp_path))
    drawn, begun = [], threading.Barrier(2, timeout=60)
    example = builder.TwoFigures._example

    def counting(self, rng, name):
        drawn.append(name)
        if len(drawn) == 1:
            begun.wait()  # the other one opens the data only now
        return example(self, rng, name)

    monkeypatch.setattr(builder.TwoFigures, "_example", counting)
    sources = [tiny.open_source(config, tmp_path) for _ in range(2)]
    found = [None, None]

    def read(number):
        if number == 1:
            begun.wait()
        found[number] = sources[number].train[3]["image"]

    threads = [threading.Thread(target=read, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert found[0] is not None
    assert len(drawn) == len(set(drawn)) == 52
    assert "another process is writing" in capsys.readouterr().err
    assert not list(tmp_path.rglob(".building"))


def test_what_a_killed_rendering_has_left_is_removed(tmp_path):
    config = tiny.tiny_config(data__directory=str(tmp_path))
    variant = "40px_figure7_noise6_seed0_40_12"
    left = tmp_path / variant / "two_figures" / "incomplete.ABC_1.0.0"
    left.mkdir(parents=True)
    np.save(left / "half.npy", np.zeros(3))
    assert tiny.open_source(config, tmp_path).train[0]
    assert [path.name for path in (tmp_path / variant / "two_figures").iterdir()] == ["1.0.0"]
