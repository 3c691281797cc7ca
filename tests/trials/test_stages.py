"""A trial's stages are candidates: each is judged, one is kept and named, and none is forced on a given checkpoint."""

import itertools
import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors import safe_open

from lrbench.config.sections import DataChoice
from lrbench.errors import InputError
from lrbench.export.find import find_source, recall_model
from lrbench.learn.batches import Batching
from lrbench.learn.batches import test_batches as whole_batches
from lrbench.learn.datasets import load_dataset
from lrbench.measure.accuracy import evaluate
from lrbench.plan.spec import make_spec
from lrbench.plan.trials import plan_trials
from lrbench.report.choice.pick import choices_of
from lrbench.report.results import Results
from lrbench.results.log import read_records
from lrbench.results.records import Accuracy, Measurement
from lrbench.trials.stages import Judged, best_of

NO_TRAINING = ("--set", "baseline.epochs=0", "--set", "finetune.epochs=0")
CUT = ("--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2']", "--only", "accuracy")


@pytest.fixture
def checkpoint(workplace: Path, lrbench, undrawn: None) -> Path:
    """A workplace with the weights of a trained model in `given.safetensors`."""
    assert lrbench("sweep", "tiny.toml", "--set", "finetune.epochs=0", *CUT, "--out", "first").exit_code == 0
    done = [one for one in read_records(workplace / "first") if isinstance(one, Measurement)]
    (workplace / "cache/weights" / f"{done[0].trial.baseline}.safetensors").rename(workplace / "given.safetensors")
    return workplace


def swept(lrbench, *words: str, out: str = "out") -> list[Measurement]:
    result = lrbench(
        "sweep", "tiny.toml", "--set", "model.weights=given.safetensors", *NO_TRAINING, *CUT, *words, "--out", out
    )
    assert result.exit_code == 0, result.output
    return [one for one in read_records(Path(out)) if isinstance(one, Measurement)]


def right(measurement: Measurement, split: str) -> Accuracy:
    """What the kept weights of a trial give, in plain torch."""
    data = DataChoice(image_size=8)
    how = Batching(size=32, data=data, device=torch.device("cpu"), memory_format=torch.contiguous_format)
    source = find_source(
        read_records(Path("out")),
        measurement.trial.key,
        weights=Path("cache/weights"),
        overrides=(),
        models=["nets:build"],
    )
    return evaluate(recall_model(source), whole_batches(getattr(load_dataset(data, cache=Path("cache")), split), how))


@pytest.mark.parametrize("truncation", ["plain", "output", "sequential"])
def test_of_a_given_checkpoint_the_best_stage_on_the_search_split_is_kept(
    truncation: str, checkpoint: Path, lrbench
) -> None:
    dense, cut = swept(lrbench, "--set", f"sweep.truncations=['{truncation}']")
    assert dense.trial.recalibrate == cut.trial.recalibrate == "best"
    assert dense.kept == "dense", "the reference is the model as given"
    assert dense.kept_accuracy == dense.dense
    assert dense.recalibrated is not None, "shown, and never kept"
    assert dense.finetuned is cut.finetuned is None, "nothing was finetuned"
    judged = {stage: cut.search_after(stage) for stage in ("truncated", "recalibrated")}
    assert cut.kept == max(judged, key=lambda stage: (judged[stage].correct, -judged[stage].loss))
    for one, split in itertools.product((dense, cut), ("test", "search")):
        assert right(one, split).correct == (one.kept_accuracy if split == "test" else one.search).correct


@pytest.mark.parametrize(("choice", "kept"), [("true", "recalibrated"), ("false", "truncated")])
@pytest.mark.parametrize("truncation", ["plain", "sequential"])
def test_a_stage_can_be_chosen_by_hand(choice: str, kept: str, truncation: str, checkpoint: Path, lrbench) -> None:
    words = ("--set", f"calibration.recalibrate={choice}", "--set", f"sweep.truncations=['{truncation}']")
    dense, cut = swept(lrbench, *words)
    assert (dense.kept, cut.kept) == ("dense", kept)
    assert (cut.recalibrated is None) == (choice == "false")
    assert right(cut, "test").correct == cut.kept_accuracy.correct


def test_the_table_has_each_stage_on_both_splits_and_calls_nothing_finetuned(checkpoint: Path, lrbench) -> None:
    _, cut = swept(lrbench)
    table = pd.read_csv("out/trials.csv").set_index("trial")
    assert table["accuracy_finetuned"].isna().all()
    assert table["correct_finetuned"].isna().all()
    assert table["loss_finetuned"].isna().all()
    row = table.loc[cut.trial.key]
    assert row["kept"] == cut.kept
    assert row["accuracy_kept"] == cut.kept_accuracy.accuracy == row[f"accuracy_{cut.kept}"]
    assert row["accuracy_search"] == row[f"accuracy_search_{cut.kept}"]
    assert row[["accuracy_search_truncated", "accuracy_search_recalibrated"]].notna().all()
    assert row["weights_digest"] != "none"
    assert set(pd.read_csv("out/answers.csv")["stage"]) == {
        "truncated",
        "recalibrated",
        "search",
        "dense",
        "dense_search",
    }


def test_the_drop_is_against_the_model_as_given_and_is_always_shown(checkpoint: Path, lrbench) -> None:
    dense, cut = swept(lrbench)
    results = Results(Path("out"))
    choices = choices_of(results, results.done)
    assert choices.reference.words == "the model as given"
    points = choices.points.set_index("trial")
    lost = dense.dense.accuracy - cut.kept_accuracy.accuracy
    assert points.loc[cut.trial.key, "test_drop"] == pytest.approx(lost)
    assert points.loc[cut.trial.key, "given_drop"] == pytest.approx(lost)
    assert points.loc[dense.trial.key, ["test_drop", "given_drop"]].tolist() == [0, 0]
    shown = lrbench("table", "out").output
    assert "points from given" in shown
    assert f"{-100 * lost:.2f}" in shown


def test_after_finetuning_both_drops_are_shown(checkpoint: Path, lrbench) -> None:
    dense, cut = swept(lrbench, "--set", "finetune.epochs=1", "--set", "finetune.lr=0.001")
    assert dense.kept in ("dense", "finetuned")
    assert cut.search.correct == max(
        accuracy.correct
        for stage in ("truncated", "recalibrated", "finetuned")
        if (accuracy := cut.search_after(stage))
    )
    assert right(cut, "test").correct == cut.kept_accuracy.correct
    told = json.loads(lrbench("recommend", "out", "--max-drop", 99, "--confidence", 0.01, "--format", "json").output)
    drops = {name: told["recommended"][f"{name}_drop"] for name in ("test", "given")}
    assert drops["test"] == pytest.approx(dense.kept_accuracy.accuracy - cut.kept_accuracy.accuracy)
    assert drops["given"] == pytest.approx(dense.dense.accuracy - cut.kept_accuracy.accuracy)


def test_weights_of_an_earlier_stage_are_never_taken_for_a_training(checkpoint: Path, lrbench) -> None:
    """Training diverges from the best here, so that the kept stage is an earlier one; a second run trains again."""
    words = ("--set", "finetune.epochs=1", "--set", "finetune.lr=3.0", "--set", "finetune.schedule=constant")
    first = swept(lrbench, *words)
    kept = [one for one in first if one.kept != "finetuned"]
    assert kept, "training at such a rate is worse than none"
    for one in kept:
        with safe_open(f"cache/weights/{one.trial.key}.safetensors", framework="pt") as file:
            assert file.metadata()["stage"] == one.kept
        assert right(one, "test").correct == one.kept_accuracy.correct
    again = swept(lrbench, *words, out="again")
    assert [(one.kept, one.finetuned, one.search) for one in again] == [
        (one.kept, one.finetuned, one.search) for one in first
    ]


def judged(stage: str, correct: int, loss: float) -> Judged:
    search = Accuracy(correct=correct, samples=10, loss=loss)
    return Judged(stage=stage, model=torch.nn.Identity(), test=search, search=search, seconds=0.0)


@pytest.mark.parametrize(
    ("stages", "best"),
    [
        ([("truncated", 5, 1.0), ("recalibrated", 6, 2.0)], "recalibrated"),
        ([("truncated", 6, 1.0), ("recalibrated", 6, 0.5)], "recalibrated"),
        ([("truncated", 6, 1.0), ("recalibrated", 6, 1.0)], "truncated"),
        ([("truncated", 7, 1.0), ("recalibrated", 6, 0.1), ("finetuned", 6, 0.1)], "truncated"),
    ],
)
def test_the_best_stage_has_most_right_answers_then_least_loss(stages: list, best: str) -> None:
    assert best_of([judged(*stage) for stage in stages]).stage == best


def test_what_the_spec_leaves_open_depends_on_given_weights_and_a_search_split() -> None:
    def chosen(**sections: dict) -> object:
        return make_spec(sections, where="here").recalibrate()

    assert chosen() is True
    assert chosen(model={"weights": "DEFAULT"}) == "best"
    assert chosen(model={"weights": "DEFAULT"}, data={"search_share": 0}) is True
    assert chosen(model={"weights": "DEFAULT"}, calibration={"recalibrate": False}) is False
    assert chosen(calibration={"recalibrate": "best"}) == "best"


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"calibration": {"recalibrate": "best"}, "data": {"search_share": 0}}, "needs a search split, got 0"),
        ({"calibration": {"recalibrate": True, "images": 0}}, "calibration.recalibrate needs at least 1, got 0"),
        ({"calibration": {"recalibrate": "worst"}}, "calibration.recalibrate"),
    ],
)
def test_what_cannot_be_done_is_refused(sections: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        make_spec(sections, where="here")


def test_keys_change_only_where_the_outcome_does() -> None:
    def keys(**calibration: object) -> list[str]:
        spec = make_spec({"calibration": calibration}, where="here")
        return [trial.key for trial in plan_trials(spec, identity="x")]

    assert keys() == keys(recalibrate=True)
    assert len({*keys(), *keys(recalibrate=False), *keys(recalibrate="best")}) == 3 * len(keys())
