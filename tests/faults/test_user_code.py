"""What a user supplies may do anything: a model, a data set, a workload fails by name, and takes nothing along."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from lrbench.config.sections import DataChoice, ModelChoice
from lrbench.errors import InputError
from lrbench.guard import Interrupted, forget_signals, guarded, note_signal, user_code
from lrbench.learn.datasets import decode, load_dataset
from lrbench.learn.imports import call_fitting
from lrbench.learn.models import build_model
from lrbench.learn.sources import identify
from lrbench.plan.run import prepare
from lrbench.plan.spec import load_spec
from lrbench.results.log import read_records
from lrbench.results.records import Failure

SET = """
import os, sys
import numpy as np
import torch
from PIL import Image


def picture(number):
    return np.full((9, 9), 60 * (number % 3), dtype=np.uint8)


PAIRS = [(picture(number), number % 3) for number in range(30)]


class Set:
    def __len__(self):
        return len(PAIRS)

    def __getitem__(self, index):
        return PAIRS[index]


class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def changed(**members):
    return type("Changed", (Set,), members)()


def raising(error):
    def function(*words):
        raise error
    return function


def load(choice):
    data = {data}
    return data, data
"""

DATA_SETS = {
    **{
        f"len raises {error}": f"changed(__len__=raising({error}))"
        for error in ("KeyError('x')", "SystemExit(0)", "KeyboardInterrupt()", "Odd()", "GeneratorExit()")
    },
    **{
        f"len is {value}": f"changed(__len__=lambda self: {value})"
        for value in ("-1", "2.5", "'3'", "None", "0", "1 << 70")
    },
    "no len": "object()",
    "None": "None",
    "generator": "iter(PAIRS)",
    **{
        f"getitem raises {error}": f"changed(__getitem__=raising({error}))"
        for error in (
            *("KeyError('x')", "IndexError()", "StopIteration()", "SystemExit(3)", "KeyboardInterrupt()", "Odd()"),
            *("MemoryError()", "RecursionError()", "BaseException('b')", "OSError(5, 'EIO')", "TypeError('t')"),
        )
    },
    "shorter than it says": "changed(__len__=lambda self: 40)",
    **{
        f"item is {value}": f"changed(__getitem__=lambda self, index: {value})"
        for value in ("None", "picture(index)", "(picture(index),)", "{'image': 1}", "7", "'ab'")
    },
    **{
        f"label is {value}": f"changed(__getitem__=lambda self, index: (picture(index), {value}))"
        for value in (
            *("1.0", "'1'", "None", "True", "-1", "1 << 40", "1 << 80", "np.ones(3)", "torch.tensor(1.5)", "[1]"),
            *("float('nan')", "np.True_"),
        )
    },
    **{
        f"image is {value}": f"changed(__getitem__=lambda self, index: ({value}, index % 3))"
        for value in (
            *("None", "'a.png'", "np.zeros((9, 9))", "np.zeros((9, 9), np.float32)", "np.zeros((9, 9), np.int64)"),
            *("np.zeros((9, 9), bool)", "np.zeros((0, 9), np.uint8)", "np.zeros((9, 9, 5), np.uint8)", "b'abc'"),
            *(
                "np.zeros(9, np.uint8)",
                "np.zeros((3, 9, 9), np.uint8)",
                "torch.rand(3, 9, 9)",
                "Image.new('F', (4, 4))",
            ),
            *("Image.new('I;16', (4, 4))", "Image.new('RGB', (0, 4))", "np.zeros((2, 9, 9, 3), np.uint8)", "7"),
        )
    },
    "targets raise": "changed(targets=property(raising(KeyError('x'))))",
    "targets raise exit": "changed(targets=property(raising(SystemExit(0))))",
    **{f"classes are {value}": f"changed(classes={value})" for value in ("7", "'abc'", "['a', 'b']", "[]", "object()")},
    "classes raise": "changed(classes=property(raising(ZeroDivisionError())))",
    "samples raise": "changed(samples=property(raising(SystemExit())))",
}


@pytest.fixture
def faulty(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a module `faulty`, to be imported anew."""

    def write(source: str) -> Path:
        monkeypatch.delitem(sys.modules, "faulty", raising=False)
        (workplace / "faulty.py").write_text(source)
        return workplace / "faulty.py"

    return write


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    text = str(error.value)
    assert "\n" not in text, text
    return text


@pytest.mark.parametrize("data", DATA_SETS.values(), ids=DATA_SETS)
def test_a_faulty_data_set_is_named_and_nothing_of_it_is_coerced(data: str, faulty, workplace: Path) -> None:
    faulty(SET.replace("{data}", data))
    with pytest.raises(InputError) as error:
        load_dataset(DataChoice(name="faulty:load", image_size=8), cache=workplace / "cache")
    assert any(words in one_line(error) for words in ("faulty:load", "of train", "training image", "got 0 and 0"))


@pytest.mark.parametrize(
    "data",
    [
        *("PAIRS", "Set()", "changed(targets=torch.arange(30) % 3)", "changed(classes=('a', 'b', ['c', 'see']))"),
        *("changed(targets=[i % 3 for i in range(30)])", "changed(samples=[1, 2], targets=None)", "changed(samples=9)"),
        *(f"changed(targets={value})" for value in ("[0] * 29", "['a'] * 30", "[0.5] * 30", "7", "[[0]] * 30")),
        *(f"changed(targets={value})" for value in ("[1] * 30", "[-1] * 30", "[True] * 30", "[[0], 1]", "object()")),
        "changed(__getitem__=lambda self, index: (picture(index), np.int32(index % 3)))",
        "changed(__getitem__=lambda self, index: (torch.from_numpy(picture(index)), torch.tensor(index % 3), 'more'))",
        "changed(__getitem__=lambda self, index: (Image.new('P', (1, 300)), index % 3))",
    ],
)
def test_a_data_set_may_answer_in_many_ways(data: str, faulty, workplace: Path) -> None:
    faulty(SET.replace("{data}", data))
    made = load_dataset(DataChoice(name="faulty:load", image_size=8), cache=workplace / "cache")
    assert (made.classes, len(made.test), made.train.labels.tolist()) == (3, 30, [number % 3 for number in range(30)])
    assert identify(DataChoice(name="faulty:load"))[0].startswith("faulty:load:30+30:data:")


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (3, 2), (640, 480)])
def test_an_image_of_any_size_above_0_is_decoded(size: tuple[int, int]) -> None:
    assert decode(Image.new("RGB", size, (255, 0, 0)), 8).mean() == 85
    assert decode(np.full(size[::-1], 255, np.uint8), 8).min() == 255


def test_an_image_file_of_numbers_whose_range_is_not_known_is_refused_by_name(workplace: Path, pictures) -> None:
    Image.new("F", (9, 9), 300).save(pictures(workplace / "set") / "train/cat/deep.tiff")
    with pytest.raises(InputError, match=r"deep\.tiff cannot be read as an image: fractions must lie in 0\.\.1"):
        load_dataset(DataChoice(name="folder", root="set", image_size=8), cache=workplace / "cache")


MODEL = """
import os, sys, ctypes, time
import torch
from torch import nn


class Odd(BaseException):
    def __str__(self):
        raise RuntimeError("no text")


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, classes)

    def forward(self, x):
        {forward}
        return self.head(self.body(x).mean((2, 3)))


def build(num_classes):
    {build}
    return Net(num_classes)
"""

FORWARDS = (
    *("self.boddy", "{}['key']", "len(3)", "None + 1", "sys.exit(0)", "sys.exit('bye')", "raise KeyboardInterrupt"),
    *("raise Odd", "raise GeneratorExit", "raise StopIteration", "assert x is None", "1 / 0", "return None"),
    *("return x", "return (x, x)", "return x.mean((1, 2, 3))", "return torch.zeros(3, 10)", "torch.empty(1 << 55)"),
    *("raise MemoryError", "raise RecursionError", "return torch.zeros(1, 10, dtype=torch.int64)", "os.abort()"),
    *("ctypes.string_at(0)", "os.kill(os.getpid(), 9)", "os._exit(3)", "torch.jit.is_tracing() and sys.exit(0)"),
    "raise ValueError('two\\nlines')",
)
BUILDS = (
    *("return torch.jit.script(nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))", "return 3"),
    *("return nn.Sequential(torch.jit.script(nn.Conv2d(3, 10, 3)), nn.AdaptiveAvgPool2d(1), nn.Flatten())", "1 / 0"),
    *("return Net(num_classes).to('meta')", "sys.exit(0)", "raise KeyboardInterrupt", "return Net", "os.abort()"),
    *("ctypes.string_at(0)", "return nn.Sequential()", "raise Odd", "return None", "return Net(num_classes).half()"),
)
CASES = [("pass", build) for build in BUILDS] + [(forward, "pass") for forward in FORWARDS]


@pytest.mark.parametrize(("forward", "build"), CASES)
def test_a_faulty_model_is_refused_in_one_line_before_anything_runs(
    forward: str, build: str, faulty, workplace: Path, lrbench
) -> None:
    faulty(MODEL.replace("{forward}", forward).replace("{build}", build))
    result = lrbench("plan", "tiny.toml", "--set", "model.name=faulty:build")
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.output.startswith("error: ")
    assert "model.name='faulty:build'" in result.output
    assert result.output.count("\n") == 1, result.output


def test_a_builder_that_never_ends_has_a_limit_of_time(faulty, workplace: Path, lrbench) -> None:
    faulty(MODEL.replace("{forward}", "pass").replace("{build}", "time.sleep(3600)"))
    result = lrbench("sweep", "tiny.toml", "--set", "model.name=faulty:build", "--timeout", 0.2)
    assert (result.exit_code, "not finished after 0.2 s" in result.output) == (2, True), result.output


SIGNATURES = {
    "n": 10,
    "n, /": 10,
    "num_classes": 10,
    "*, num_classes": 10,
    "width=8, num_classes=3": 10,
    "n, width=8": 10,
    "num_classes, /": 10,
    "": None,
    "width=8": None,
    "*rest": None,
    "**rest": None,
}


@pytest.mark.parametrize(("signature", "given"), SIGNATURES.items())
def test_a_builder_is_called_as_its_signature_allows(signature: str, given: int | None) -> None:
    names = [word.strip() for word in signature.split(",")]
    result = next((name for name in names if name in ("n", "num_classes")), "None")
    result = "num_classes" if any(name.startswith("num_classes") for name in names) else result
    function = eval(f"lambda {signature}: {result}")
    assert call_fitting(function, 10, word="num_classes", name="own:build", key="model.name") == given


@pytest.mark.parametrize("signature", ["a, b", "*, width", "width, num_classes"])
def test_a_builder_that_needs_more_is_told_what_is_allowed(signature: str) -> None:
    function = eval(f"lambda {signature}: 1")
    with pytest.raises(InputError, match=r"must be callable with num_classes, with one argument or with none, but"):
        call_fitting(function, 10, word="num_classes", name="own:build", key="model.name")


def test_a_class_of_modules_and_a_callable_in_c_can_be_builders(workplace: Path) -> None:
    (workplace / "nets.py").write_text(MODEL.replace("{forward}", "pass").replace("{build}", "pass"))
    model, _ = build_model(ModelChoice(name="nets:Net"), classes=5, image_size=8)
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    assert call_fitting(dict, 10, word="num_classes", name="own:build", key="model.name") == {}


TRAINED = """
import os, sys
from torch import nn


class Odd(BaseException):
    def __str__(self):
        raise RuntimeError("no text")


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, stride=2), nn.Conv2d(16, 16, 3)
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        os.chdir("/")
        rank = next(iter(self.second.parameters())).shape[0]
        if self.training:
            if rank == 2:
                sys.exit(0)
            if rank == 3:
                raise KeyboardInterrupt
            if rank == 4:
                raise Odd
            if rank == 5:
                raise GeneratorExit
            if rank == 6:
                {crash}
        return self.head(self.second(self.first(x).relu()).mean((2, 3)))


def build(n):
    os.chdir("/tmp")
    return Net(n)
"""


def wild(crash: str) -> tuple[str, ...]:
    ranks = ",".join(f"'rank={rank}'" for rank in range(1, 7))
    return (
        *("--set", "model.name=faulty:build", "--set", f"sweep.ranks=[{ranks}]", "--set", "sweep.schemes=['channel']"),
        *("--set", "layer_sets.convs.include=['second']", "--set", "data.image_size=16"),
    )


@pytest.mark.usefixtures("undrawn")
def test_what_a_model_raises_in_training_fails_its_trial_and_no_other(faulty, workplace: Path, lrbench) -> None:
    faulty(TRAINED.replace("{crash}", "raise SystemExit('text')"))
    result = lrbench("sweep", "tiny.toml", *wild("raise"), "--set", "latency.devices=[]")
    assert result.exit_code == 1, result.output
    failed = [record for record in read_records(workplace / "results/tiny") if isinstance(record, Failure)]
    assert {record.trial.rank_rule: record.reason for record in failed} == {
        "rank=2": "SystemExit: 0",
        "rank=3": "KeyboardInterrupt",
        "rank=4": "Odd, whose text raises RuntimeError",
        "rank=5": "GeneratorExit",
        "rank=6": "SystemExit: text",
    }
    assert Path.cwd() == workplace
    assert {path.name for path in workplace.iterdir()} >= {"results", "cache", "tiny.toml"}
    assert len(list((workplace / "cache/weights").glob("*.safetensors"))) == 3, "the baseline, the control and rank 1"


@pytest.mark.long
@pytest.mark.usefixtures("undrawn", "in_children")
@pytest.mark.parametrize(("crash", "reason"), [("os._exit(0)", "exit code 0"), ("os.abort()", "SIGABRT")])
def test_a_model_that_ends_its_process_ends_a_child_and_not_the_command(
    crash: str, reason: str, faulty, workplace: Path, lrbench
) -> None:
    faulty(TRAINED.replace("{crash}", crash))
    result = lrbench("sweep", "tiny.toml", *wild(crash), "--set", "latency.devices=[]")
    assert result.exit_code == 1, result.output
    trials = pd.read_csv(workplace / "results/tiny/trials.csv").set_index("rank_rule")
    assert trials.loc["rank=6", "failure"] == "killed"
    assert reason in trials.loc["rank=6", "reason"]
    assert (trials["state"] == "done").sum() == 2
    assert len(list((workplace / "cache/weights").glob("*.safetensors"))) == 3


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_signal_is_heard_whatever_a_users_code_makes_of_it(raised: type[BaseException]) -> None:
    before = signal.signal(signal.SIGINT, lambda number, _: note_signal(number))
    try:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted), user_code():
            raise raised
        with pytest.raises(Interrupted), user_code():
            pass
    finally:
        forget_signals()
        signal.signal(signal.SIGINT, before)
    with user_code():
        pass


def test_in_a_script_too_an_interrupt_that_was_typed_is_told_from_one_that_was_not() -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(Interrupted), guarded("it raised"):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(InputError, match=r"^it raised KeyboardInterrupt$"), guarded("it raised"):
        raise KeyboardInterrupt
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_working_directory_that_is_gone_is_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with user_code():
        os.chdir(tmp_path)


def test_a_model_is_tried_once_and_this_process_draws_the_same_weights(workplace: Path) -> None:
    first, again = (prepare(load_spec(workplace / "tiny.toml")).dense.model for _ in range(2))
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    assert isinstance(first, nn.Module)
