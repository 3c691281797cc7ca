"""A loop of the user's own finetunes; records, stages, kept weights and failures are as with lrbench's."""

from pathlib import Path

import pandas as pd
import pytest

from lrbench.results.log import read_records
from lrbench.results.records import Failure, Measurement

LOOPS = """
import copy, random, sys
import torch
from torch.utils.data import DataLoader


def plain(model, data, budget):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(budget.epochs):
        loss_sum = right = seen = 0
        for images, labels in data.batches():
            optimizer.zero_grad()
            logits = model(images)
            loss = torch.nn.functional.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            loss_sum, right = loss_sum + loss.item() * len(labels), right + int((logits.argmax(1) == labels).sum())
            seen += len(labels)
        budget.report(loss_sum / seen, right / seen)
    return model


def copied(model, data, budget):
    images, labels = next(iter(DataLoader(data.train, batch_size=4)))
    assert images.shape == (4, 3, 8, 8) and len(data.search) > 0 and budget.seed == 0 and data.classes == 10
    other = copy.deepcopy(model)
    torch.nn.init.zeros_(list(other.parameters())[-1])
    return other


def raises(model, data, budget):
    raise KeyError("mine")


def leaves(model, data, budget):
    sys.exit(3)


def nothing(model, data, budget):
    pass


def another(model, data, budget):
    return torch.nn.Linear(2, 2)


def two(model, data):
    pass


def percent(model, data, budget):
    budget.report(0.5, 93.5)
    return model


def rounded(model, data, budget):
    budget.report(0.5, 1.0000001)
    return model


def nan(model, data, budget):
    budget.report(float("nan"), 0.5)
    return model
"""
CUT = ("--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2']", "--only", "accuracy")


@pytest.fixture
def run(workplace: Path, lrbench, undrawn: None, monkeypatch: pytest.MonkeyPatch):
    (workplace / "loops.py").write_text(LOOPS)
    monkeypatch.delitem(__import__("sys").modules, "loops", raising=False)
    return lambda loop, *more: lrbench("sweep", "tiny.toml", *CUT, "--set", f"finetune.loop={loop}", *more)


def records(kind: type) -> list:
    return [one for one in read_records(Path("results/tiny")) if isinstance(one, kind)]


def test_a_loop_finetunes_and_its_epochs_are_recorded(run) -> None:
    result = run("loops:plain")
    assert result.exit_code == 0, result.output
    done = records(Measurement)
    assert all([epoch.stage for epoch in one.epochs] == ["baseline", "finetune"] for one in done)
    assert all(one.finetuned.loss < one.truncated.loss for one in done if one.trial.scheme != "dense")
    assert {one.trial.recipe for one in done} == {"train loop=loops:plain"}
    assert "2 skipped, 0 to run" in run("loops:plain").output
    assert run("loops:rounded").exit_code == 0, "a mean of numbers of few digits may leave 0..1 by their rounding"
    Path("results/tiny").rename("before")
    assert run("loops:plain").exit_code == 0
    again = records(Measurement)
    assert all(one.reused_weights for one in again)
    assert [one.finetuned for one in again] == [one.finetuned for one in done]


def test_what_a_loop_returns_is_what_counts(run) -> None:
    assert run("loops:copied").exit_code == 0
    assert set(pd.read_csv("results/tiny/trials.csv")["kept"]) == {"finetuned"}


@pytest.mark.parametrize(
    ("loop", "told"),
    [
        ("raises", "KeyError: 'mine'"),
        ("leaves", "SystemExit: 3"),
        ("nothing", "must return the model, got NoneType"),
        ("another", "must return the model with the layers that it was given"),
        ("percent", "budget.report: accuracy must be in 0..1, got 93.5"),
        ("nan", "loss became nan in epoch 1, as the loop reported"),
    ],
)
def test_a_loop_that_fails_fails_its_trials_only(loop: str, told: str, run) -> None:
    result = run(f"loops:{loop}")
    assert result.exit_code == 1
    failed = records(Failure)
    assert len(failed) == 2
    assert all(told in one.reason and one.stage == "finetune" for one in failed)


@pytest.mark.parametrize(
    ("loop", "told"),
    [
        ("loops:absent", "finetune.loop='loops:absent' cannot be imported"),
        ("loops:two", "must be callable with model, data and budget"),
    ],
)
def test_a_loop_that_cannot_be_called_is_refused_before_anything_runs(loop: str, told: str, run) -> None:
    result = run(loop)
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
    assert not Path("results/tiny/trials.csv").exists()


def test_what_the_loop_does_itself_is_refused(run) -> None:
    result = run("loops:plain", "--set", "finetune.distill=0.5")
    assert result.exit_code == 2
    assert "does distill and frozen batch norm itself" in " ".join(result.output.split())
