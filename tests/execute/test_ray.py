"""A sweep on a Ray cluster of two nodes of one CPU each: the records of one process, whatever is lost on the way."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import conftest
import pandas as pd
import psutil
import pytest
from outcomes import assert_same_tables, assert_same_weights
from waiting import PATIENCE_S, until

from lrbench.results.log import read_records
from lrbench.results.sessions import Session

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.usefixtures("undrawn")
long = pytest.mark.long

SHY_NET = '''
import os, signal, time
from pathlib import Path
from torch import nn


class Net(nn.Sequential):
    """In training, the one that takes away the file `die` kills its process, the one that takes `stay` never ends."""

    def forward(self, x):
        if self.training:
            place = Path(__file__).parent
            for name in ("die", "stay"):
                try:
                    (place / name).rename(place / f"{name}.taken")
                except OSError:
                    continue
                if name == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                import ray
                (place / "node").write_text(ray.get_runtime_context().get_node_id())
                time.sleep(3600)
        return super().forward(x)


def build(num_classes):
    return Net(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(16, num_classes),
    )
'''

PATIENT = {
    "RAY_health_check_timeout_ms": str(round(1000 * PATIENCE_S)),
    "RAY_worker_register_timeout_seconds": str(round(PATIENCE_S)),
    "RAY_gcs_server_request_timeout_seconds": str(round(PATIENCE_S)),
    "RAY_memory_monitor_refresh_ms": "0",
}
"""What keeps Ray from taking a node or a worker for lost because the machine is slow, or short of memory."""

NODE = {"num_cpus": 1, "resources": {"timing": 1}, "object_store_memory": 80_000_000}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A cluster of a head that runs no trials and two nodes, the folder of modules they import, and their labels."""
    from ray.cluster_utils import Cluster

    place = tmp_path_factory.mktemp("modules")
    (place / "nets.py").write_text(conftest.TINY_NET)
    (place / "shy.py").write_text(SHY_NET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(place))
        for name, value in PATIENT.items():
            patch.setenv(name, value)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("LRBENCH_NODE_CACHE", str(place / "node cache"))
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80_000_000}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        added = {add_node(cluster, machine): machine for machine in ("a", "b")}
        yield SimpleNamespace(cluster=cluster, place=place, machines=added)
        cluster.shutdown()


def add_node(cluster: Any, machine: str) -> str:
    """The id of a new node with a label."""
    node = cluster.add_node(wait=False, labels={"machine": machine}, **NODE)
    cluster.wait_for_nodes(timeout=PATIENCE_S)
    return node.node_id


@pytest.fixture
def words(nodes: SimpleNamespace, workplace: Path) -> tuple[Any, ...]:
    """The options of a sweep on the cluster. What nodes keep is looked for where they keep it."""
    return ("--executor", "ray", "--address", nodes.cluster.address)


@long
def test_sessions_hold_their_node_and_labels_choose_it(
    words: tuple[Any, ...], nodes: SimpleNamespace, workplace: Path, lrbench
) -> None:
    keys = ["model.name=resnet18", "data.image_size=32", "latency.group=1", "sweep.schemes=['channel']"]
    keys += ["layer_sets.convs.include=['layer1.*']"]  # a model that is no user's own runs in no process of its own
    timed = ("--only", "latency", *(word for key in keys for word in ("--set", key)))
    three = ("--set", "sweep.ranks=['rank=1','rank=2','rank=3']")  # so that one of two nodes has two of them
    result = lrbench("sweep", "tiny.toml", *timed, *three, *words)
    assert result.exit_code == 0, result.output
    sessions = [one for one in read_records(workplace / "results/tiny") if isinstance(one, Session)]
    assert len({one.series for one in sessions}) == 3
    for node in {one.node for one in sessions}:
        spans = sorted(
            (datetime.fromisoformat(one.started), datetime.fromisoformat(one.finished))
            for one in sessions
            if one.node == node
        )
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    few = ("--set", "sweep.ranks=['rank=1']", "--out", "chosen", "--on", "machine=a")
    chosen = lrbench("sweep", "tiny.toml", *timed, *few, *words)
    assert chosen.exit_code == 0, chosen.output
    there = {one.node for one in read_records(workplace / "chosen") if isinstance(one, Session)}
    labels = {one["NodeID"]: one["Labels"].get("machine") for one in on_cluster(nodes, ray.nodes)}
    assert [labels[node] for node in there] == ["a"]


@long
def test_a_cluster_gives_the_records_and_weights_of_one_process_and_of_a_pool(
    words: tuple[Any, ...], nodes: SimpleNamespace, workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrbench.execute.ray_jobs.CLEAN_S", PATIENCE_S)
    keys = {
        "latency.devices": [],
        "sweep.ranks": ["energy=0.5", "knapsack macs=0.7"],
        "sweep.schemes": ["channel", "spatial"],
    }
    keys |= {"sensitivity.step": 1, "sensitivity.points": 4, "sensitivity.accuracy_points": 2}
    same = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    for out, more in (("here", ()), ("pool", ("--executor", "pool", "--jobs", 2)), ("ray", words)):
        result = lrbench("sweep", "tiny.toml", *same, "--out", out, "--cache", f"cache-{out}", *more)
        assert result.exit_code == 0, result.output
    assert "of images: sent to each node once" in result.output
    assert "running on 3 nodes" in result.output
    for other in ("pool", "ray"):
        assert_same_tables(workplace / "here", workplace / other)
        assert_same_weights(workplace / "cache-here", workplace / f"cache-{other}", models=6)
    left = [path for path in (nodes.place / "node cache").rglob("*") if path.is_file() and "images" not in path.parts]
    assert left == [], "nodes keep no weights"


@long
def test_what_a_worker_or_a_node_takes_with_it_is_run_again_and_counted_once(
    words: tuple[Any, ...], nodes: SimpleNamespace, workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(nodes.place))
    keys = {
        "model.name": "shy:build",
        "latency.devices": [],
        "data.image_size": 16,
        "baseline.epochs": 0,
        "sweep.ranks": ["rank=1", "rank=2", "rank=3"],
        "sweep.seeds": [0, 1],
    }
    same = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    assert lrbench("sweep", "tiny.toml", *same, "--out", "calm", "--cache", "calm cache").exit_code == 0
    for name in ("die", "stay"):
        (nodes.place / name).touch()

    def remove_the_node_that_stays() -> None:
        until(lambda: has_text(nodes.place / "node"), "the trial that stays")
        gone = next(n for n in nodes.cluster.worker_nodes if n.node_id == (nodes.place / "node").read_text())
        nodes.cluster.remove_node(gone, allow_graceful=False)

    remover = Thread(target=remove_the_node_that_stays)
    remover.start()
    result = lrbench("sweep", "tiny.toml", *same, *words)
    remover.join()
    gone = (nodes.place / "node").read_text()
    nodes.machines[add_node(nodes.cluster, nodes.machines[gone])] = nodes.machines[gone]
    assert result.exit_code == 0, result.output
    assert (nodes.place / "die.taken").exists()
    assert_same_tables(workplace / "calm", workplace / "results/tiny")


def has_text(path: Path) -> bool:
    return path.exists() and path.read_text() != ""


@long
def test_a_driver_that_dies_or_is_interrupted_leaves_the_cluster_free_and_the_next_one_goes_on(
    words: tuple[Any, ...], nodes: SimpleNamespace, workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(nodes.place))
    monkeypatch.setenv("PYTHONPATH", str(nodes.place))
    keys = {"model.name": "shy:build", "latency.devices": [], "data.image_size": 16, "baseline.epochs": 0}
    keys |= {"sweep.ranks": ["rank=1", "rank=2", "rank=3"]}
    same = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)):
        (nodes.place / "node").unlink(missing_ok=True)
        (nodes.place / "stay").touch()
        command = [sys.executable, "-m", "lrbench.cli", "sweep", "tiny.toml", *same, *words]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
            try:
                until(lambda: has_text(nodes.place / "node") or driver.poll() is not None, "the trial that stays")
                driver.send_signal(number)
                assert driver.wait(timeout=PATIENCE_S) == code
            finally:
                driver.kill()
        on_cluster(nodes, lambda: until(lambda: ray.available_resources().get("CPU") == 2, "the CPU of its trial"))
    assert lrbench("sweep", "tiny.toml", *same, *words).exit_code == 0
    assert lrbench("sweep", "tiny.toml", *same, "--out", "calm", "--cache", "calm cache").exit_code == 0
    assert_same_tables(workplace / "calm", workplace / "results/tiny")


@long
def test_a_lost_raylet_ends_the_command_in_one_line_and_what_is_finished_stays(workplace: Path, lrbench) -> None:
    (workplace / "shy.py").write_text(SHY_NET)
    keys = {"model.name": "shy:build", "latency.devices": [], "data.image_size": 16, "baseline.epochs": 0}
    same = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    assert lrbench("sweep", "tiny.toml", *same, "--set", "sweep.ranks=['rank=2']").exit_code == 0
    (workplace / "stay").touch()
    command = [sys.executable, "-m", "lrbench.cli", "sweep", "tiny.toml", *same, "--executor", "ray"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as driver:
        try:
            until(lambda: has_text(workplace / "node") or driver.poll() is not None, "the trial that stays")
            children = psutil.Process(driver.pid).children(recursive=True)
            (raylet,) = [one for one in children if one.name() == "raylet"]
            raylet.kill()
            output, _ = driver.communicate(timeout=PATIENCE_S)
        finally:
            driver.kill()
    assert driver.returncode == 2, output
    assert "error: the raylet, Ray's own process on this machine, has ended" in " ".join(output.split())
    assert "Traceback" not in output
    assert len(read_records(workplace / "results/tiny")) >= 3
    assert "3 skipped" in lrbench("sweep", "tiny.toml", *same).output


@long
def test_a_trial_that_is_lost_too_often_or_takes_too_long_fails_and_the_others_go_on(
    words: tuple[Any, ...], nodes: SimpleNamespace, workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(nodes.place))
    keys = {"model.name": "shy:build", "latency.devices": [], "data.image_size": 16, "baseline.epochs": 0}
    keys |= {"run.retries": 0, "sweep.ranks": ["rank=2"], "run.weights_uri": (workplace / "shared").as_uri()}
    same = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    (nodes.place / "die").touch()
    result = lrbench("sweep", "tiny.toml", *same, *words)
    assert result.exit_code == 1, result.output
    assert not (nodes.place / "die").exists()
    (nodes.place / "stay").touch()
    one_more = ("--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=1']")
    result = lrbench("sweep", "tiny.toml", *same, *one_more, *words, "--timeout", 1)
    assert "2 trials planned, 1 skipped, 1 to run" in result.output, "no other trial can take too long"
    trials = pd.read_csv(workplace / "results/tiny/trials.csv").set_index("failure")
    assert sorted(trials.index.fillna("")) == ["", "", "killed", "timeout"]
    assert trials.loc["killed", "reason"].startswith("trial: WorkerDiedError: its worker or node was lost: ")
    assert trials.loc["timeout", "reason"].startswith("trial: TrialTimeoutError: not finished after 1 s")
    done = {f"{key}.safetensors" for key in trials.loc[trials["state"] == "done", "trial"]}
    assert {path.name for path in (workplace / "shared").iterdir()} == done
    assert not done & {path.name for path in (workplace / "cache").rglob("*.safetensors")}


def on_cluster(nodes: SimpleNamespace, question: Callable[[], Any]) -> Any:
    """What a driver sees that is connected for this alone."""
    ray.init(address=nodes.cluster.address, log_to_driver=False)
    try:
        return question()
    finally:
        ray.shutdown()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--address", "auto"), "--address goes with --executor ray"),
        (("--executor", "ray", "--jobs", 2), "--jobs goes with --executor pool, not ray"),
        (("--executor", "here", "--timeout", 5), "--timeout goes with --executor pool or ray, not here"),
        (("--executor", "ray", "--on", "fast"), "--on must be KEY=VALUE, got 'fast'"),
        (("--executor", "ray", "--gpus-per-trial", 1.5), "must be a whole number or a share below 1, got 1.5"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    words: tuple[Any, ...], message: str, workplace: Path, lrbench
) -> None:
    result = lrbench("sweep", "tiny.toml", *words)
    assert result.exit_code == 2
    assert message in result.output


@long
def test_a_cluster_that_cannot_be_used_is_named(
    words: tuple[Any, ...], workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = lrbench("sweep", "tiny.toml", *words, "--cpus-per-trial", 4)
    assert large.exit_code == 2
    assert "no node has the 4 CPUs and 0 GPUs" in large.output
    nowhere = lrbench("sweep", "tiny.toml", *words, "--only", "latency", "--on", "machine=z")
    assert nowhere.exit_code == 2
    assert "no node has the labels machine=z; the nodes are" in nowhere.output
    assert "machine=a" in nowhere.output
    with monkeypatch.context() as patch:
        patch.setattr("lrbench.execute.versions.version", lambda name: "0.0")
        odd = lrbench("sweep", "tiny.toml", *words)
        assert odd.exit_code == 2
        assert "has other versions than this machine: lrbench 0.1.0 there, 0.0 here" in odd.output
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    absent = lrbench("sweep", "tiny.toml", *words)
    assert absent.exit_code == 2
    assert "pip install 'lrbench[ray]'" in absent.output
