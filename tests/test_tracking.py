"""Logging to Weights & Biases too, with a stand-in for its package: what it gets, how it goes on, what it refuses."""

import sys
import types

import pytest
import tiny

import interpjax
from interpjax import config as config_lib
from interpjax import processes, tracking
from interpjax.errors import UserError
from interpjax.training.metrics import MetricsWriter, read_metrics


class Run:
    """A run of wandb, which may lose its service at a step."""

    def __init__(self, begun, lost_at):
        self.begun, self.lost_at = begun, lost_at
        self.step = max((step for step, _ in begun["history"]), default=-1) + 1
        self.summary = begun["summary"]

    def log(self, metrics, step):
        assert step >= self.step, "wandb would ignore it with a warning"
        if step == self.lost_at:
            raise ConnectionResetError("the service\nis gone")
        self.step = step
        self.begun["history"].append((step, metrics))

    def finish(self, exit_code=0):
        self.begun["exit_codes"].append(exit_code)


class Service:
    """What wandb keeps of each run, by its id."""

    def __init__(self):
        self.runs, self.lost_at, self.refusal = {}, 0, None

    def init(self, *, id, resume, **settings):
        if self.refusal:
            raise self.refusal
        assert resume == "allow"
        begun = self.runs.setdefault(id, {"history": [], "summary": {}, "exit_codes": []})
        begun["settings"] = settings
        return Run(begun, self.lost_at)


@pytest.fixture
def service(monkeypatch):
    own, module = Service(), types.ModuleType("wandb")
    module.init = own.init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return own


def by_step(rows):
    """The metrics of each step together, without what differs between sessions."""
    found = {}
    for step, metrics in rows:
        found.setdefault(step, {}).update(metrics)
    return found


def test_a_later_session_goes_on_in_the_same_run_behind_what_it_has(service, tmp_path):
    for first, last in ((1, 4), (3, 6)):  # killed after its checkpoint of step 2
        with (
            tracking.tracked("groups", tmp_path, {}) as tracker,
            MetricsWriter(tmp_path, from_step=first - 1, log=tracker.log) as writer,
        ):
            for step in range(first, last + 1):
                writer.write(step, {"loss": 1 / step})
            tracker.summarize({"final/accuracy": 1 / last})
    (begun,) = service.runs.values()
    assert begun["history"] == [(step, {"loss": 1 / step}) for step in range(1, 7)]
    assert begun["history"] == [(row.pop("step"), row) for row in read_metrics(tmp_path / "metrics.jsonl")]
    assert begun["summary"] == {"final/accuracy": 1 / 6}


@pytest.mark.long
def test_a_run_that_lost_the_service_goes_on_in_the_same_run_and_nothing_is_missing(service, tmp_path):
    config = tiny.tiny_config(wandb="groups", data__directory=str(tmp_path / "data"))
    workdir, stages = tmp_path / "mine", ("train", "evaluate")
    service.lost_at = 5
    with pytest.raises(UserError, match=r"^config.wandb = 'groups': Weights & Biases refuses \(the service is gone\)"):
        interpjax.run(config, workdir, stages)
    service.lost_at = 0
    summary = interpjax.run(config, workdir, stages)
    (begun,) = service.runs.values()
    kept = [(row["step"], row) for row in read_metrics(workdir / "metrics.jsonl")]
    assert {step: set(own) | {"step"} for step, own in by_step(begun["history"]).items()} == {
        step: set(own) for step, own in by_step(kept).items()
    }
    assert [own["loss"] for own in by_step(begun["history"]).values()] == [
        own["loss"] for own in by_step(kept).values()
    ]
    assert begun["summary"] == {"final/accuracy": summary["accuracy"]}
    assert begun["exit_codes"] == [1, 0]
    settings = begun["settings"]
    assert (settings["project"], settings["name"], settings["dir"]) == ("groups", "mine", str(workdir))
    assert settings["config"]["training"]["num_steps"] == 6


def test_without_the_package_nothing_is_written(monkeypatch, tmp_path):
    config = tiny.tiny_config(wandb="groups", data__directory=str(tmp_path / "data"))
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"config.wandb = 'groups': expected the package wandb .*pip install wandb"):
        interpjax.run(config, tmp_path / "run", ("train",))
    monkeypatch.setitem(sys.modules, "wandb", types.ModuleType("wandb"))  # a folder ./wandb is one without contents
    with pytest.raises(UserError, match=r"config.wandb = 'groups': .*only a folder of this name.*pip install wandb"):
        tracking.check("groups")
    assert not (tmp_path / "run").exists()


def test_a_service_that_cannot_be_reached_is_told_by_the_field(service, tmp_path):
    service.refusal = RuntimeError("No API key configured.\nUse `wandb login` to log in.")
    expected = r"^config.wandb = 'groups': .*\(No API key configured. Use `wandb login` to log in.\); .*the field empty"
    with pytest.raises(UserError, match=expected), tracking.tracked("groups", tmp_path, {}):
        pytest.fail("the run was begun")


def test_why_a_run_ended_is_not_hidden_by_the_service(service, tmp_path, monkeypatch):
    def lost(self, exit_code):
        raise RuntimeError("gone too")

    monkeypatch.setattr(Run, "finish", lost)
    with pytest.raises(KeyError, match="why"), tracking.tracked("groups", tmp_path, {}):
        raise KeyError("why")


def test_without_a_project_or_in_another_process_nothing_is_logged(service, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "leads", lambda: False)
    for project in ("", "groups"):
        tracking.check(project)
        with tracking.tracked(project, tmp_path, {}) as tracker:
            tracker.log(1, {"loss": 1.0})
            tracker.summarize({"accuracy": 1.0})
    assert not service.runs
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("project", ["me/mine", "a" * 129])
def test_a_name_that_wandb_would_refuse_is_told_before(project):
    with pytest.raises(UserError, match=r"config.wandb = .*: expected the name of a project"):
        config_lib.validate(tiny.tiny_config(wandb=project))
