"""What a run that fails leaves behind: the reason, in one line, wherever and however it was made."""

import io
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
import tiny

from interpjax.errors import UserError
from interpjax.running import Planned, queue, run_all
from interpjax.running.reasons import tell
from interpjax.running.records import records


def planned(folder):
    return Planned("a run", "kind", tiny.tiny_config(), folder, "s/r/seed=0")


def made_by(shell, folder, monkeypatch, before=""):
    """The reason, the note and the record of a run in whose place a command of the shell is made."""

    def start(each, *_):
        with each.log("txt").open("a") as log:
            return subprocess.Popen(["bash", "-c", shell], stdin=subprocess.PIPE, stdout=log, stderr=log, text=True)

    each = planned(folder)
    each.log("txt").parent.mkdir(exist_ok=True)
    each.log("txt").write_text(before)
    monkeypatch.setattr(queue, "_start", start)
    why = run_all([each], ("train",), jobs=2)["a run"]
    note = json.loads(each.log("json").read_text()) if each.log("json").is_file() else {}
    return why, note.get("failed"), records([({"row": "r"}, each)])


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("echo first; echo UserError: last; exit 1", "UserError: last"),
        ("exit 1", "ended with exit code 1, and told nothing"),
        ("kill -9 $$", "ended by SIGKILL, as where memory is used up"),
        ("kill -40 $$", "ended by signal 40, as where memory is used up"),
    ],
)
def test_the_reason_is_that_of_this_attempt_and_is_kept(tmp_path, monkeypatch, shell, expected):
    why, noted, record = made_by(shell, tmp_path, monkeypatch, before="the reason of an earlier attempt\n")
    assert why == noted == expected
    assert record["failed"].tolist() == [expected]


def test_a_run_that_was_stopped_has_not_failed(tmp_path, monkeypatch):
    why, noted, record = made_by("echo stopped; exit 143", tmp_path, monkeypatch)
    assert (why, noted, len(record)) == ("stopped", None, 0)


def test_the_last_line_is_the_reason_whatever_else_is_told(monkeypatch):
    def fails(x):
        raise RuntimeError(f"of shape {x.shape}\nand more")

    told = io.StringIO()
    monkeypatch.setattr(sys, "stderr", told)
    try:
        jax.jit(fails)(jnp.zeros(3))
    except RuntimeError as error:
        why = tell(error)
    assert why == told.getvalue().splitlines()[-1] == "RuntimeError: of shape (3,)"
    assert "Traceback" in told.getvalue()


def test_a_mistake_of_the_user_is_told_in_full_without_a_traceback(capsys):
    assert tell(UserError("2 things are wrong:\none\ntwo")) == "UserError: 2 things are wrong:"
    told = capsys.readouterr().err
    assert "\ntwo\n" in told
    assert told.endswith("\nUserError: 2 things are wrong:\n")
    assert "Traceback" not in told


def test_what_goes_wrong_in_this_process_is_in_the_log(tmp_path, monkeypatch):
    def fail(*_):
        raise UserError("config.data.train = 'none': no such folder")

    monkeypatch.setattr(queue, "run", fail)
    each = planned(tmp_path)
    failed = run_all([each], ("train",), jobs=1)
    assert failed == {"a run": "UserError: config.data.train = 'none': no such folder"}
    assert each.log("txt").read_text() == failed["a run"] + "\n"


def test_kept_results_of_a_run_that_failed_when_it_was_made_again_say_so(tmp_path):
    each = planned(tmp_path)
    each.log("json").parent.mkdir()
    note = {"version": "b", "failed": "OSError: full", "date": "2026-11-29T12:00:00+00:00"}
    each.log("json").write_text(json.dumps(note))
    line = {"layer": "conv1", "units": 8, "version": "a", "date": "2026-11-29T11:00:00+00:00"}
    own = {"row": "r"}
    assert records([(own, each)], {"a run": [line]}).to_dict("records") == [line | own | {"failed": "OSError: full"}]
    line["date"] = "2026-11-29T13:00:00+00:00"  # made again since, elsewhere
    assert records([(own, each)], {"a run": [line]}).to_dict("records") == [line | own]


def test_a_failure_of_another_configuration_is_none_of_this_one(tmp_path, monkeypatch):
    made_by("echo UserError: last; exit 1", tmp_path, monkeypatch)
    other = Planned("a run", "kind", tiny.tiny_config(training__num_steps=7), tmp_path, "s/r/seed=0")
    assert len(records([({"row": "r"}, planned(tmp_path))])) == 1
    assert len(records([({"row": "r"}, other)])) == 0
