"""The real commands on a user's own tiny model: what they write, skip, refuse and survive."""

import signal
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from lrbench.cli import app
from lrbench.results.log import LOG, read_records
from lrbench.results.records import Measurement
from lrbench.results.sessions import Session
from lrbench.screen import Screen

ONE_RANK = ("--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2']")


def test_a_sweep_of_the_users_own_model_end_to_end(workplace: Path, lrbench) -> None:
    result = lrbench("sweep", "tiny.toml")
    assert result.exit_code == 0, result.output
    trials = pd.read_csv(workplace / "results/tiny/trials.csv")
    assert trials["scheme"].tolist() == ["dense", "channel", "channel", "writeback", "writeback"]
    assert set(trials["state"]) == {"done"}
    assert (trials["samples"] == 360).all()
    layers = pd.read_csv(workplace / "results/tiny/layers.csv")
    measured = read_records(workplace / "results/tiny")
    for record in measured:
        if isinstance(record, Measurement):
            norms = 2 * (8 + 16)
            assert record.cost.macs == sum(layer.macs for layer in record.layers), "fvcore equals the closed formula"
            assert record.cost.params == sum(layer.params for layer in record.layers) + norms
    dense, channel, *_, writeback = (trials.iloc[i] for i in (0, 1, 3))
    assert channel["macs"] < dense["macs"] == writeback["macs"]
    assert writeback["architecture"] == dense["architecture"]
    cut = layers[layers["trial"] == writeback["trial"]].dropna(subset="rank")
    assert (cut["numerical_rank"] > cut["rank"]).all(), "training grows the rank of what was written back"
    cut = layers[layers["trial"] == channel["trial"]].dropna(subset="rank")
    assert (cut["numerical_rank"] == cut["rank"]).all()
    assert set(layers.dropna(subset="reason")["reason"]) >= {"not in layer set convs", "dense control"}
    latency = pd.read_csv(workplace / "results/tiny/latency.csv")
    assert set(trials["architecture"]) == set(latency["architecture"])
    assert len(list((workplace / "results/tiny/figures").glob("*.png"))) == 8
    assert "5 trials planned, 0 skipped, 5 to run" in result.output

    before = (workplace / "results/tiny" / LOG).read_bytes()
    again = lrbench("sweep", "tiny.toml")
    assert again.exit_code == 0
    assert "5 trials planned, 5 skipped, 0 to run" in again.output
    assert (workplace / "results/tiny" / LOG).read_bytes() == before


def test_the_same_spec_gives_the_same_accuracies_and_new_settings_only_add_timings(
    workplace: Path, lrbench, undrawn: None
) -> None:
    for name in ("a", "b"):
        assert lrbench("sweep", "tiny.toml", *ONE_RANK, "--out", name, "--cache", f"cache-{name}").exit_code == 0
    a, b = (pd.read_csv(workplace / name / "trials.csv") for name in ("a", "b"))
    same = ["trial", "architecture", "params", "macs", "loss_dense", "loss_truncated", "loss_finetuned"]
    pd.testing.assert_frame_equal(a[same], b[same])
    result = lrbench("sweep", "tiny.toml", *ONE_RANK, "--out", "a", "--set", "latency.batch_sizes=[1,4]")
    assert "2 skipped, 0 to run" in result.output
    sizes = [record.setting.batch_size for record in read_records(workplace / "a") if isinstance(record, Session)]
    assert list(dict.fromkeys(sizes)) == [1, 4]


@pytest.mark.long
def test_output_truncation_and_re_estimation_are_columns_of_their_own(
    workplace: Path, lrbench, undrawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str, int, int]] = []
    monkeypatch.setattr(Screen, "progress", lambda self, *step: told.append(step))
    words = (
        "--set",
        "sweep.truncations=['plain','output','sequential']",
        "--set",
        "sweep.ranks=['rank=2','macs=0.5','evbmf']",
    )
    result = lrbench("sweep", "tiny.toml", *words, "--set", "latency.devices=[]")
    assert result.exit_code == 0, result.output
    assert "scheme writeback does not support sequential truncation" in result.output
    trials = pd.read_csv(workplace / "results/tiny/trials.csv")
    methods = trials.groupby(["scheme", "truncation"]).size().to_dict()
    assert methods == {
        ("dense", "plain"): 1,
        ("channel", "plain"): 3,
        ("channel", "output"): 3,
        ("channel", "sequential"): 3,
        ("writeback", "plain"): 3,
    }
    assert trials["accuracy_recalibrated"].notna().all()
    assert (trials["calibration_images"] == 256).all()
    layers = pd.read_csv(workplace / "results/tiny/layers.csv").merge(trials[["trial", "rank_rule"]], on="trial")
    cut = layers[(layers["rank_rule"] == "macs=0.5") & (layers["scheme"] == "channel")]
    assert (cut["macs"] <= cut["dense_macs"] / 2).all()
    assert (cut["breakeven_share"] < 1).all()
    gained = layers[(layers["truncation"] == "output") & (layers["layer"] == 3) & layers["rank"].notna()]
    assert (gained["params"] == gained["rank"] * (8 * 9 + 16) + 16).all(), "the bias that the layer had not"
    in_sequence = layers[(layers["truncation"] == "sequential") & layers["rank"].notna()]
    done = [total for _, stage, done, total in told if stage == "truncate" and done == total]
    assert sorted(done) == sorted(in_sequence.groupby("trial").size()), "each trial tells of its layers"


@pytest.mark.long
def test_batch_norm_re_estimated_after_finetuning_is_in_the_kept_weights(
    workplace: Path, lrbench, undrawn: None
) -> None:
    words = (
        "--set",
        "finetune.batch_norm=re-estimated",
        "--set",
        "latency.devices=[]",
        "--set",
        "finetune.distill=0.5",
    )
    for name in ("a", "b"):
        assert lrbench("sweep", "tiny.toml", *words, "--out", name).exit_code == 0
    assert lrbench("sweep", "tiny.toml", *words[2:], "--out", "c").exit_code == 0
    a, b, c = (pd.read_csv(workplace / name / "trials.csv") for name in ("a", "b", "c"))
    assert b["reused_weights"].all()
    assert a["loss_finetuned"].tolist() == b["loss_finetuned"].tolist()
    assert (a["loss_finetuned"] != c["loss_finetuned"]).all()
    none = lrbench("plan", "tiny.toml", *words, "--set", "calibration.images=0")
    assert (none.exit_code, "re-estimated batch norm needs at least 1, got 0" in none.output) == (2, True)


@pytest.mark.long
def test_trained_weights_are_reused_by_another_sweep(workplace: Path, lrbench, undrawn: None) -> None:
    untimed = ("--set", "latency.devices=[]")
    assert lrbench("sweep", "tiny.toml", *untimed, "--out", "a").exit_code == 0
    assert lrbench("sweep", "tiny.toml", *untimed, "--out", "b").exit_code == 0
    a, b = (pd.read_csv(workplace / name / "trials.csv") for name in ("a", "b"))
    assert b["reused_weights"].all()
    assert not a["reused_weights"].any()
    assert a["loss_finetuned"].tolist() == b["loss_finetuned"].tolist()
    epochs = [pd.read_csv(workplace / name / "epochs.csv") for name in ("a", "b")]
    pd.testing.assert_frame_equal(*epochs)


def test_a_failing_trial_is_a_row_and_the_others_go_on(workplace: Path, lrbench, undrawn: None) -> None:
    wild = ("--set", "finetune.lr=1e30", "--set", "finetune.schedule=constant", "--set", "latency.devices=[]")
    result = lrbench("sweep", "tiny.toml", *wild)
    assert result.exit_code == 1
    trials = pd.read_csv(workplace / "results/tiny/trials.csv")
    assert trials["state"].tolist() == ["failed"] * 5
    assert trials["reason"].str.startswith("finetune: DivergedError: loss became").all()
    skipped = lrbench("sweep", "tiny.toml", *wild)
    assert (skipped.exit_code, "5 skipped" in skipped.output) == (1, True)
    retried = lrbench("sweep", "tiny.toml", *wild, "--retry-failed")
    assert (retried.exit_code, "0 skipped" in retried.output) == (1, True)


def test_a_baseline_that_diverges_fails_every_trial_of_its_seed(workplace: Path, lrbench, undrawn: None) -> None:
    wild = ("--set", "baseline.lr=1e30", "--set", "baseline.schedule=constant", "--set", "latency.devices=[]")
    assert lrbench("sweep", "tiny.toml", *wild).exit_code == 1
    assert pd.read_csv(workplace / "results/tiny/trials.csv")["reason"].str.startswith("baseline: Diverged").all()


def test_an_interrupted_sweep_resumes(workplace: Path, lrbench, undrawn: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from lrbench.trials import work

    original, count = work.run_trial, iter(range(100))

    def interrupted(*args: object, **kwargs: object) -> object:
        if next(count) == 2:
            signal.raise_signal(signal.SIGINT)
        return original(*args, **kwargs)

    monkeypatch.setattr(work, "run_trial", interrupted)
    stopped = lrbench("sweep", "tiny.toml", "--set", "latency.devices=[]")
    assert stopped.exit_code == 130
    assert "what is finished is kept" in stopped.output
    finished = lrbench("sweep", "tiny.toml", "--set", "latency.devices=[]")
    assert (finished.exit_code, "2 skipped, 3 to run" in finished.output) == (0, True)
    assert len(pd.read_csv(workplace / "results/tiny/trials.csv")) == 5


def test_a_plan_shows_every_trial_and_writes_nothing(workplace: Path, lrbench) -> None:
    before = sorted(workplace.rglob("*.*"))
    result = lrbench("plan", "tiny.toml", "--set", "sweep.ranks=['rank=2', 'rank=5', 'energy=0.5']")
    assert result.exit_code == 0, result.output
    assert "7 trials of tiny.toml" in result.output
    assert "layer set convs: 0 3" in result.output
    assert "stay dense" not in result.output
    assert [path for path in sorted(workplace.rglob("*.*")) if "__pycache__" not in str(path)] == before


def test_the_planned_cost_is_the_measured_one(workplace: Path, lrbench, undrawn: None) -> None:
    planned = lrbench("plan", "tiny.toml", "--set", "sweep.ranks=['rank=2']").output
    lrbench("sweep", "tiny.toml", "--set", "sweep.ranks=['rank=2']", "--set", "latency.devices=[]")
    for row in pd.read_csv(workplace / "results/tiny/trials.csv").itertuples():
        assert f"{row.macs:,}" in planned
        assert f"{row.params:,}" in planned


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "finetune.epoch=1"], "unknown key finetune.epoch: did you mean 'epochs'?"),
        (["--set", "model.name=resnet81"], "unknown model.name='resnet81'"),
        (["--set", "model.weights=absent.safetensors"], "does not exist"),
        (["--set", "data.name=mnist"], "data.name: unknown data set 'mnist'"),
        (["--set", "data.name=folder", "--set", "data.root=absent"], "has no train/ and no val/"),
        (["--set", "layer_sets.none_such.include=['stage9.*']"], "layer_sets.none_such matches no conv layer"),
        (["--set", "latency.devices=['tpu']"], "unknown device 'tpu'"),
        (["--set", "finetune.device=warp"], "device 'warp' is not available on this machine"),
        (["--set", "sweep.schemes=['svd']"], "unknown scheme 'svd'"),
        (["--out", "nets.py/results"], "cannot be written"),
    ],
)
def test_bad_input_exits_2_with_one_message_and_leaves_results_alone(
    words: list[str], message: str, workplace: Path, lrbench
) -> None:
    kept = workplace / "results/tiny/records.jsonl"
    kept.parent.mkdir(parents=True)
    kept.write_text("")
    result = lrbench("sweep", "tiny.toml", *words)
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "Traceback" not in result.output
    assert [path.name for path in kept.parent.iterdir()] == ["records.jsonl"]


@pytest.mark.parametrize("words", [["plots", "nowhere"], ["plan", "nowhere.toml"], ["sweep", "nowhere.toml"]])
def test_a_missing_file_exits_2(words: list[str], workplace: Path, lrbench) -> None:
    result = lrbench(*words)
    assert (result.exit_code, "Traceback" in result.output) == (2, False)
    assert "nowhere" in result.output


@pytest.mark.parametrize(
    ("code", "words", "message"),
    [
        ("def build(): raise RuntimeError('no weights')", (), "model.name='own:build' raised RuntimeError: no weights"),
        ("def build(:", (), "cannot be imported as package.module:callable: SyntaxError"),
        ("def load(c): return 5", ("data.name=own:load",), "data.name='own:load' must return (train, test), got int"),
        ("def load(c): return 1 / 0", ("data.name=own:load",), "data.name='own:load' raised ZeroDivisionError"),
        (
            "import numpy as np\ndef load(c):\n    return [[(np.zeros((3, 8, 8)), i % 2) for i in range(40)]] * 2",
            ("data.name=own:load",),
            "image 0 of train must be a PIL image or a uint8 array (H, W) or (H, W, 3)",
        ),
    ],
)
def test_mistakes_in_the_users_own_code_exit_2(
    code: str, words: tuple[str, ...], message: str, workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "own", raising=False)
    (workplace / "own.py").write_text(code + "\n")
    result = lrbench("sweep", "tiny.toml", *(f"--set={word}" for word in words or ("model.name=own:build",)))
    assert (result.exit_code, "Traceback" in result.output) == (2, False), result.output
    assert message in result.output


@pytest.mark.long
def test_editing_the_file_of_a_callable_makes_other_trials(
    workplace: Path, lrbench, undrawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = ("--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2']")
    assert "0 skipped, 2 to run" in lrbench("sweep", "tiny.toml", *quick).output
    monkeypatch.delitem(sys.modules, "nets")
    (workplace / "nets.py").write_text((workplace / "nets.py").read_text().replace("nn.ReLU", "nn.Tanh"))
    assert "0 skipped, 2 to run" in lrbench("sweep", "tiny.toml", *quick).output
    trials = pd.read_csv(workplace / "results/tiny/trials.csv")
    latency = pd.read_csv(workplace / "results/tiny/latency.csv")
    assert len(trials) == trials["architecture"].nunique() == latency["architecture"].nunique() == 4, "timed anew"


@pytest.mark.long
def test_other_budgets_in_one_folder_have_fronts_of_their_own(workplace: Path, lrbench, undrawn: None) -> None:
    quick = ("--set", "latency.devices=[]", "--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=2']")
    lrbench("sweep", "tiny.toml", *quick)
    output = lrbench("sweep", "tiny.toml", *quick, "--set", "finetune.epochs=0").output
    assert "1+1" in output
    assert "1+0" in output


def test_a_corrupt_image_exits_2_and_is_named(workplace: Path, lrbench, pictures) -> None:
    (pictures(workplace / "set") / "train/dog/3.png").write_bytes(b"no image")
    words = ("--set", "data.name=folder", "--set", "data.root=set", "--set", "data.search_share=0.25")
    result = lrbench("sweep", "tiny.toml", *words)
    assert result.exit_code == 2
    assert "train/dog/3.png cannot be read as an image" in result.output


def test_help_shows_every_command_and_every_default() -> None:
    assert {"sweep", "plan", "plots"} <= set(CliRunner().invoke(app, ["--help"]).output.split())
    assert "weight_decay = 0.0005" in CliRunner().invoke(app, ["sweep", "--help"]).output


def test_timing_needs_no_training_and_accuracy_can_follow(workplace: Path, lrbench, undrawn: None) -> None:
    first = lrbench("sweep", "tiny.toml", *ONE_RANK, "--only", "latency")
    assert first.exit_code == 0, first.output
    made = pd.read_csv(workplace / "results/tiny/architectures.csv")
    assert made["scheme"].tolist() == ["dense", "channel"]
    assert pd.read_csv(workplace / "results/tiny/trials.csv").empty
    assert "latency ratio, 99 %" in first.output
    second = lrbench("sweep", "tiny.toml", *ONE_RANK, "--only", "accuracy")
    assert "2 trials planned, 0 skipped, 2 to run" in second.output
    sessions = len(pd.read_csv(workplace / "results/tiny/latency.csv"))
    assert lrbench("sweep", "tiny.toml", *ONE_RANK).exit_code == 0
    assert len(pd.read_csv(workplace / "results/tiny/latency.csv")) == sessions, "what was timed is not timed again"
    trials = pd.read_csv(workplace / "results/tiny/trials.csv")
    assert set(trials["architecture"]) == set(made["architecture"])
    pd.testing.assert_frame_equal(pd.read_csv(workplace / "results/tiny/architectures.csv"), made)


def test_ranks_that_need_training_cannot_be_timed_first(workplace: Path, lrbench, undrawn: None) -> None:
    words = ("--set", "sweep.ranks=['energy=0.5','rank=2']", "--set", "sweep.schemes=['channel']")
    result = lrbench("sweep", "tiny.toml", *words, "--only", "latency")
    assert result.exit_code == 0
    assert "energy=0.5 seed 0: its ranks depend on the trained dense model" in result.output


@pytest.mark.long
def test_a_folder_is_timed_again_with_other_axes(workplace: Path, lrbench, undrawn: None) -> None:
    assert lrbench("sweep", "tiny.toml", *ONE_RANK).exit_code == 0
    refused = lrbench("time", "results/tiny")
    assert (refused.exit_code, "add --model nets:build" in refused.output) == (2, True)
    axes = ("--set", "latency.batch_sizes=[3]", "--set", "latency.processes=1", "--set", "latency.rounds=10")
    result = lrbench("time", "results/tiny", "--model", "nets:build", *axes)
    assert result.exit_code == 0, result.output
    latency = pd.read_csv(workplace / "results/tiny/latency.csv")
    assert set(latency["batch_size"]) == {1, 3}
    assert latency.groupby("batch_size")["architecture"].nunique().tolist() == [2, 2]
    assert lrbench("time", "nowhere").exit_code == 2
    assert not (workplace / "nowhere").exists()


def test_layers_are_timed_once_each_and_their_break_even_is_told(
    workplace: Path, lrbench, request: pytest.FixtureRequest
) -> None:
    words = ("layers", "tiny.toml", "--set", "layer_table.step=2", "--set", "layer_table.points=3")
    result = lrbench(*words)
    assert result.exit_code == 0, result.output
    assert "2 layers to time, 6 factorizations" in result.output
    assert (workplace / "results/tiny/figures/layers_cpu_b1_t1_channels_last.png").exists()
    request.getfixturevalue("undrawn")
    rows = pd.read_csv(workplace / "results/tiny/layer_latency.csv")
    assert set(rows["shape"]) == {
        "conv 3>8 3x3 8x8 stride 2 padding 1 bias",
        "conv 8>16 3x3 4x4 stride 2 padding 1",
    }
    assert rows["backend"].notna().all()
    assert rows[rows["control"]]["rank"].isna().all()
    assert "0 layers to time" in lrbench(*words).output
    more = lrbench(*words, "--set", "sweep.schemes=['channel','spatial']").output
    assert "2 layers to time, 6 factorizations" in more, "only what is new: a second scheme"


def test_the_doctor_gives_its_verdict_and_its_exit_code(lrbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrbench.timing.doctor.ROUNDS", 20)
    result = lrbench("doctor", "--image-size", "32")
    assert "smallest change visible in 20 rounds" in result.output
    assert (result.exit_code == 0) == ("\nfit for timing" in result.output)
    assert result.exit_code in (0, 1)
