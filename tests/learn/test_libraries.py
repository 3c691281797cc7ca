"""Models of libraries by name, and weights of a hub: real where the package is installed, else by a stand-in for it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lrbench.config.names import LIBRARIES, is_own
from lrbench.config.sections import ModelChoice
from lrbench.errors import InputError
from lrbench.learn.checkpoint_files import local_file, weights_digest
from lrbench.learn.libraries import MAKERS
from lrbench.learn.models import build_model


def refused(choice: ModelChoice) -> str:
    with pytest.raises(InputError) as told:
        build_model(choice, classes=10, image_size=32)
    return str(told.value)


def test_the_names_of_libraries_are_those_that_make_models() -> None:
    assert {"", *LIBRARIES} == MAKERS.keys()
    assert is_own("nets:build")
    assert not any(is_own(name) for name in ("resnet18", "timm:resnet18"))


@pytest.mark.parametrize(
    ("choice", "package", "extra"),
    [
        (ModelChoice(name="timm:resnet10t"), "timm", "timm"),
        (ModelChoice(weights="hf://owner/repository/a.safetensors"), "huggingface_hub", "hub"),
    ],
)
def test_a_missing_extra_is_named_with_its_command(
    choice: ModelChoice, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert f"needs {package}: pip install 'lrbench[{extra}]'" in refused(choice)


@pytest.mark.parametrize("place", ["owner", "owner/repository", "owner/repository/", "owner/repository/readme.md"])
def test_a_place_on_the_hub_has_three_parts(place: str) -> None:
    if place.endswith(("y", "r")):
        assert "must be hf://owner/repository/file" in refused(ModelChoice(weights=f"hf://{place}"))
    with pytest.raises(InputError, match="must be hf://owner/repository/file"):
        local_file(f"hf://{place}")


@pytest.fixture
def little_timm(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict]]:
    """A stand-in for timm with one model; gives the calls of its builder."""
    calls: list[tuple[str, dict]] = []

    def create_model(name: str, **more: object) -> nn.Module:
        calls.append((name, more))
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, int(str(more.get("num_classes", 1000)))))

    known = SimpleNamespace(
        is_model=lambda name: name.partition(".")[0] == "tiny",
        list_models=lambda: ["tiny"],
        list_pretrained=lambda name: [f"{name}.a1_in1k", f"{name}.a2_in1k"],
        create_model=create_model,
    )
    monkeypatch.setitem(sys.modules, "timm", known)
    return calls


def test_a_model_of_timm_is_made_by_timm(little_timm: list) -> None:
    build_model(ModelChoice(name="timm:tiny"), classes=7, image_size=32)
    for weights in ("DEFAULT", "a2_in1k"):
        model, note = build_model(ModelChoice(name="timm:tiny", weights=weights), classes=7, image_size=32)
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 7)
        assert "1000 -> 7 classes" in note
    build_model(ModelChoice(name="timm:tiny.a1_in1k", weights="DEFAULT"), classes=1000, image_size=32)
    assert little_timm == [
        ("tiny", {"num_classes": 7}),
        ("tiny", {"pretrained": True}),
        ("tiny.a2_in1k", {"pretrained": True}),
        ("tiny.a1_in1k", {"pretrained": True}),
    ]


def test_what_timm_does_not_have_is_named(little_timm: list) -> None:
    assert "did you mean 'tiny'? allowed: tiny" in refused(ModelChoice(name="timm:tinny"))
    assert "unknown model.name='timm:hf-hub:timm/tiny'" in refused(ModelChoice(name="timm:hf-hub:timm/tiny"))
    told = refused(ModelChoice(name="timm:tiny", weights="a3_in1k"))
    assert "did you mean" in told
    assert "a1_in1k, a2_in1k, none" in told


def test_the_real_timm_gives_a_model_that_can_be_cut() -> None:
    pytest.importorskip("timm")
    choice = ModelChoice(name="timm:test_resnet")
    model, note = build_model(choice, classes=10, image_size=32)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert note == ""
    assert "did you mean" in refused(ModelChoice(name="timm:test_resnett"))


@contextmanager
def hub(content: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server that answers as the Hugging Face Hub does for one file; gives its address and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()
            self.wfile.write(content)

        def answer(self) -> None:
            asked.append(self.path)
            there = self.path.startswith("/owner/repository/resolve/") and self.path.endswith("weights.bin")
            self.send_response(200 if there else 404)
            for name, value in (
                ("Content-Length", str(len(content))),
                ("ETag", '"abc"'),
                ("X-Repo-Commit", "0" * 40),
            ):
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_file_of_a_hub_is_downloaded_and_known_by_its_content(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    torch.save({"state_dict": nn.Linear(2, 2).state_dict()}, tmp_path / "weights.bin")
    content = (tmp_path / "weights.bin").read_bytes()
    code = (
        "from lrbench.learn.checkpoint_files import weights_digest\n"
        "from lrbench.config.sections import ModelChoice\n"
        "print(weights_digest(ModelChoice(weights='hf://owner/repository/sub/weights.bin@v1')))"
    )
    with hub(content) as (address, asked):
        hidden = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | hidden, check=True, capture_output=True, text=True
        )
    assert done.stdout.strip() == weights_digest(ModelChoice(weights=str(tmp_path / "weights.bin")))
    files = {path for path in asked if not path.startswith("/api/")}  # some versions of the client ask more
    assert files == {"/owner/repository/resolve/v1/sub/weights.bin"}


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=fail))
    told = refused(ModelChoice(weights="hf://owner/repository/a.bin"))
    assert "could not be downloaded: no route" in told
