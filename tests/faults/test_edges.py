"""What strangers wrote (files, programs, variables, code) ends in one clear line, whatever is raised over it."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
import samples
import torch
from PIL import Image
from safetensors.torch import save_file

from lrbench.config.sections import DataChoice
from lrbench.errors import InputError, reading
from lrbench.learn.sources import identify, open_source, read_image
from lrbench.measure.environment import read_environment
from lrbench.programs import run_program
from lrbench.results.log import read_records
from lrbench.shown import said

ROOT = Path(__file__).parents[2]

SPECS = {
    "digits": b"data.image_size = " + b"9" * 5000,
    "hexadecimal": b"data.image_size = 0x" + b"f" * 5000,
    "deep keys": b".".join([b"a"] * 3000) + b" = 1",
    "deep lists": b"a = " + b"[" * 3000 + b"]" * 3000,
    "deep tables": b"a = " + b"{a=" * 3000 + b"1" + b"}" * 3000,
    "no UTF-8": b'model.name = "caf\xe9"',
    "a mark of the byte order of 16 bits": b"\xff\xfe" + 'model.name = "resnet18"'.encode("utf-16-le"),
    "zeros": b"\0" * 100,
    "a thousand mistakes": b"".join(b"k%d = 1\n" % number for number in range(1000)),
    "a long value": b'finetune.epochs = "' + b"x" * 10**6 + b'"',
}


def one_line(output: str) -> str:
    """The only line of an output, a clear error that is no traceback."""
    (line,) = output.strip().splitlines()
    assert line.startswith("error: "), line
    assert "Traceback" not in line
    assert len(line) < 20_000
    return line


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_that_its_reader_chokes_on_is_named(name: str, workplace: Path, lrbench) -> None:
    (workplace / "odd.toml").write_bytes(SPECS[name])
    result = lrbench("plan", "odd.toml")
    assert result.exit_code == 2
    assert "odd.toml" in one_line(result.output)


@pytest.mark.parametrize(
    "text",
    [
        "data.image_size=" + "9" * 5000,
        "data.image_size=0x" + "f" * 5000,
        ".".join(["a"] * 3000) + "=1",
        "a=" + "[" * 3000 + "]" * 3000,
        "data.root=caf\udce9",
        "sweep.ranks=['caf\udce9']",
    ],
)
def test_an_override_that_its_reader_chokes_on_is_told(text: str, workplace: Path, lrbench) -> None:
    result = lrbench("plan", "tiny.toml", "--set", text)
    assert result.exit_code == 2
    assert "--set" in one_line(result.output)


class Mute(Exception):  # noqa: N818 - a stranger's
    """An error whose text raises."""

    def __str__(self) -> str:
        raise SystemExit("no text")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Mute(), "Mute, whose text raises SystemExit"),
        (MemoryError(), "memory ran out"),
        (KeyError(), "KeyError"),
        (RecursionError("too deep\nby far"), "too deep by far"),
        (OSError(5, "Input/output error", "f"), "Input/output error"),
        (ValueError("x" * 9000), "xxx..."),
        (BaseException("a panic in Rust"), "a panic in Rust"),
    ],
)
def test_any_error_over_something_foreign_names_it_and_says_why(error: BaseException, told: str) -> None:
    with pytest.raises(InputError) as caught, reading("a file", "is not valid", hint="Mend it"):
        raise error
    assert str(caught.value).startswith("a file ")
    assert told in str(caught.value)
    assert str(caught.value).endswith("Mend it")
    assert len(str(caught.value)) < 1000
    assert "\n" not in said(error)


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_a_program_passes(end: type[BaseException]) -> None:
    with pytest.raises(end), reading("a file"):
        raise end


IMAGES = {
    "empty.png": b"",
    "short.png": b"\x89PNG\r\n\x1a\n\x00\x00",
    "short.gif": b"GIF89a\x01",
    "short.tif": b"II*\x00\xff\xff\xff\xff",
    "short.bmp": b"BM" + b"\x00" * 12 + b"\x28\x00",
    "short.webp": b"RIFF\x10\x00\x00\x00WEBPVP8 ",
    "text.jpg": b"no image at all",
    "short.ppm": b"P6 9999999999999999999 1 255\n",
    "bomb.pgm": b"P5 60000 60000 255\n",
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_that_its_decoder_chokes_on_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(IMAGES[name])
    with pytest.raises(InputError, match=rf"{name} cannot be read as an image: .*\. Replace or remove it"):
        read_image(str(tmp_path / name))


def test_names_of_images_that_are_no_utf8_count_and_are_shown(tmp_path: Path, pictures) -> None:
    root = pictures(tmp_path / "in")
    odd = os.fsdecode(os.fsencode(root / "train" / "cat") + b"/caf\xe9.png")
    os.rename(root / "train" / "cat" / "0.png", odd)  # noqa: PTH104 - a name of bytes
    choice = DataChoice(name="folder", root=str(root), image_size=8)
    assert identify(choice)[1] == 2
    Path(odd).write_bytes(b"torn")
    with pytest.raises(InputError, match="cannot be read as an image"):
        [image for image, _ in open_source(choice)[0]]


WEIGHTS = {
    "numbers.pt": {1: torch.zeros(2), "weight": torch.zeros(2)},
    "mixed.pt": {("a", "b"): torch.zeros(2)},
    "nothing.pth": {None: torch.zeros(2)},
    "a_list.pt": [torch.zeros(2)],
    "texts.pt": {"weight": "x"},
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_with_odd_keys_are_refused(name: str, workplace: Path, lrbench) -> None:
    torch.save(WEIGHTS[name], workplace / name)
    result = lrbench("plan", "tiny.toml", "--set", f"model.weights={name}")
    assert result.exit_code == 2
    assert "must hold a state dict: tensors by name" in one_line(result.output)


def test_weights_whose_head_is_a_number_are_refused(workplace: Path, lrbench) -> None:
    sys.modules.pop("nets", None)
    from nets import build  # type: ignore[import-not-found]

    state = {**build(10).state_dict(), "8.weight": torch.zeros(())}
    save_file(state, workplace / "flat.safetensors")
    result = lrbench("plan", "tiny.toml", "--set", "model.weights=flat.safetensors")
    assert result.exit_code == 2
    assert "flat.safetensors' does not fit nets:build" in one_line(result.output)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program of some shell lines first on the path, as git."""

    def make(lines: str) -> None:
        place = tmp_path / "bin"
        place.mkdir()
        (place / "git").write_text(f"#!/bin/sh\n{lines}\n")
        (place / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")

    return make


@pytest.mark.parametrize(
    ("lines", "output", "failure"),
    [
        ("printf 'caf\\351\\n'", "caf\udce9", ""),
        ("echo no >&2; exit 3", "", "no"),
        ("kill -9 $$", "", "git failed"),
        ("cat", "", ""),
    ],
)
def test_a_program_of_any_kind_gives_an_answer(program, tmp_path: Path, lines: str, output: str, failure: str) -> None:
    program(lines)
    answer = run_program(["git"], folder=tmp_path)
    assert (answer.output, answer.failure) == (output, failure)


def test_a_program_that_is_slow_or_absent_is_an_answer(program, tmp_path: Path) -> None:
    program("exec sleep 1000")
    begun = monotonic()
    assert run_program(["git"], folder=tmp_path, limit_s=0.1).failure == "git did not end within 0.1 s"
    assert monotonic() - begun < 900
    assert "cannot be run" in run_program(["no-such-program"], folder=tmp_path).failure
    assert "cannot be run" in run_program(["git"], folder=tmp_path / "nowhere").failure


def test_variables_that_are_no_utf8_can_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_ODD", "caf\udce9\x1b")
    variables = read_environment().variables
    assert r"OMP_ODD=caf\xe9\x1b" in variables
    variables.encode()


def test_a_line_of_a_log_that_its_reader_chokes_on_is_named(tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path / "r", [samples.spectra()])
    for line in (b"[" * 100_000, b'{"schema":1,"kind":' + b"9" * 5000 + b"}", b"\xff", b'{"schema":1}'):
        (folder / "records.jsonl").write_bytes(line + b"\n")
        with pytest.raises(InputError, match=r"records\.jsonl, line 1, is no record of this version"):
            read_records(folder)


@pytest.mark.parametrize("error", [TypeError("a fault"), MemoryError(), Mute(), SystemExit(0), BaseException("panic")])
def test_a_fault_of_lrbench_is_one_line_that_names_a_file_with_its_traceback(
    error: BaseException, workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(workplace))

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("lrbench.plan.spec.load_spec", fail)
    result = lrbench("plan", "tiny.toml")
    assert result.exit_code == 2
    line = one_line(result.output)
    assert type(error).__name__ in line
    kept = Path(line.rpartition("the traceback is in ")[2])
    assert kept.parent == workplace
    assert "in fail" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_fault_whose_traceback_finds_no_place_is_still_one_line(
    workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(workplace / "nowhere"))
    monkeypatch.setattr("lrbench.plan.spec.load_spec", lambda *_: [][1])
    result = lrbench("plan", "tiny.toml")
    assert result.exit_code == 2
    assert "IndexError" in one_line(result.output)
    assert "the traceback could not be kept: No such file or directory" in result.output


def test_mistakes_in_options_and_helps_are_left_to_their_parser(lrbench) -> None:
    assert lrbench("plan", "--no-such-option").exit_code == 2
    assert lrbench("no-such-command").exit_code == 2
    assert lrbench("plan", "--help").exit_code == 0


@pytest.mark.long
def test_variables_of_other_programs_do_not_matter(tmp_path: Path) -> None:
    folder = samples.folder_of(tmp_path / "r", samples.sweep())
    odd = {"MPLBACKEND": "garbage", "MPLCONFIGDIR": "/proc/x", "COLUMNS": "x", "TERM": "\x1b", "OMP_ODD": "\udcff"}
    done = subprocess.run(
        [sys.executable, "-m", "lrbench.cli", "plots", str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **odd},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_an_image_that_is_one_is_read(tmp_path: Path) -> None:
    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    assert read_image(str(tmp_path / "a.png")).size == (3, 2)
