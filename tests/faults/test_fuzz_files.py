"""Files that nobody would write, bytes of real ones changed, cut or repeated: each is read, or named in one error."""

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import samples
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save
from torch import nn

from lrbench.errors import InputError, reading
from lrbench.export.plan import PLAN, WEIGHTS, Plan, read_plan, write_plan
from lrbench.gate.tolerances import load_tolerances
from lrbench.learn.checkpoint_files import read_file
from lrbench.learn.checkpoints import keep_checkpoint, resume_
from lrbench.learn.sources import read_image
from lrbench.results.files import packed
from lrbench.results.log import LOG, read_records
from lrbench.results.records import to_line
from lrbench.results.tables import load_table

pytestmark = pytest.mark.long  # nine thousand files

many = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "insert", "repeat", "remove"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 8, b"\0" * 8, b"9" * 8, b'"', b"[" * 500]),
    ),
    min_size=1,
    max_size=4,
)


def changed(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """A file's content after some changes, each at a share of its length."""
    for kind, share, new in changes:
        at = int(share * len(content))
        head, tail = content[:at], content[at:]
        match kind:
            case "set":
                content = head + new + tail[len(new) :]
            case "cut":
                content = head
            case "insert":
                content = head + new + tail
            case "repeat":
                content = head + tail[:40] + tail
            case "remove":
                content = head + tail[len(new) :]
    return content


def refused_or_read(read: Callable[[], object], *names: str) -> None:
    """It gives something, or one InputError that names the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of decoders, about what they skip
        try:
            read()
        except InputError as error:
            told = str(error)
        else:
            return
    assert any(name in told for name in names), told
    assert "\n" not in told


def encoded(form: str) -> bytes:
    content = io.BytesIO()
    picture = Image.effect_noise((9, 7), 50)
    (picture.convert("P") if form == "GIF" else picture.convert("RGB")).save(content, form)
    return content.getvalue()


IMAGES = {form: encoded(form) for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX")}


@settings(many, max_examples=4000)
@given(form=st.sampled_from(list(IMAGES)), changes=CHANGES)
def test_any_image_is_read_or_named(form: str, changes: list, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "image"
    path.write_bytes(changed(IMAGES[form], changes))
    refused_or_read(lambda: read_image(str(path)), "image cannot be read as an image")


LINES = [to_line(record).encode() for record in [*samples.sweep()[:3], samples.session({"a0": 0.5}, rounds=2)]]


@settings(many, max_examples=2500)
@given(line=st.sampled_from(LINES), changes=CHANGES)
def test_any_log_is_read_or_named_with_its_line(line: bytes, changes: list, tmp_path_factory) -> None:
    folder = tmp_path_factory.getbasetemp() / "log"
    folder.mkdir(exist_ok=True)
    (folder / LOG).write_bytes(LINES[0] + b"\n" + changed(line, changes) + b"\n")
    refused_or_read(lambda: read_records(folder), f"{LOG}, line ")


@settings(many, max_examples=400)
@given(name=st.sampled_from(["trials", "layers"]), changes=CHANGES, is_packed=st.booleans())
def test_any_table_is_read_or_named(name: str, changes: list, is_packed: bool, written: Path, tmp_path_factory) -> None:
    folder = tmp_path_factory.getbasetemp() / "table"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.csv"
    for form in (path, packed(path)):
        form.unlink(missing_ok=True)
    source = written / f"{name}.csv"
    if is_packed:
        import gzip

        packed(path).write_bytes(changed(gzip.compress(source.read_bytes()), changes))
    else:
        path.write_bytes(changed(source.read_bytes(), changes))
    refused_or_read(lambda: load_table(folder, name), f"{name}.csv")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.folder_of(tmp_path_factory.mktemp("written"), samples.sweep()[:3])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan beside weights that it does not know."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / WEIGHTS).write_bytes(save({"a": torch.zeros(1)}))
    third = (0.5, 0.5, 0.5)
    facts = {"input": "images", "trial": "t", "label": "l", "correct": 1, "samples": 2, "weights_sha256": "x"}
    write_plan(Plan(**facts, architecture=samples.architecture(), mean=third, std=third), folder)
    (folder / "whole").write_bytes((folder / PLAN).read_bytes())
    return folder


@settings(many, max_examples=1500)
@given(changes=CHANGES)
def test_any_plan_is_refused_by_name(changes: list, exported: Path) -> None:
    (exported / PLAN).write_bytes(changed((exported / "whole").read_bytes(), changes))
    refused_or_read(lambda: read_plan(exported), PLAN)


@settings(many, max_examples=1500)
@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )
)
def test_any_document_is_refused_as_a_plan(document: object, exported: Path) -> None:
    (exported / PLAN).write_text(json.dumps(document))
    with pytest.raises(InputError, match=PLAN):
        read_plan(exported)


@settings(many, max_examples=1000)
@given(content=st.binary(max_size=80) | st.text(st.sampled_from("[]{}=.\"'\n#,1atoledcuy_-")).map(str.encode))
def test_any_bytes_are_tolerances_or_named(content: bytes, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "tolerances.toml"
    path.write_bytes(content)
    refused_or_read(lambda: load_tolerances(path), f"tolerances {path}")


MODEL = nn.Linear(2, 2)


@settings(many, max_examples=500)
@given(changes=CHANGES)
def test_any_checkpoint_resumes_or_is_named(changes: list, tmp_path_factory) -> None:
    whole, path = tmp_path_factory.getbasetemp() / "whole.checkpoint", tmp_path_factory.getbasetemp() / "key.checkpoint"
    if not whole.exists():
        keep_checkpoint(whole, {"model": MODEL}, epochs=())
    path.write_bytes(changed(whole.read_bytes(), changes))
    try:
        resume_(path, {"model": MODEL})
    except ValueError as error:
        told = str(error)
    else:
        return
    assert str(path) in told


@settings(many, max_examples=800)
@given(changes=CHANGES, suffix=st.sampled_from([".pt", ".safetensors"]))
def test_any_weights_are_read_or_named(changes: list, suffix: str, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / f"weights{suffix}"
    content = io.BytesIO()
    torch.save(MODEL.state_dict(), content)
    path.write_bytes(changed(content.getvalue() if suffix == ".pt" else save(MODEL.state_dict()), changes))
    refused_or_read(lambda: read_file(str(path)), path.name)


@settings(many, max_examples=300)
@given(what=st.text(max_size=9), text=st.text(max_size=2000))
def test_any_error_makes_one_line_of_bounded_length(what: str, text: str) -> None:
    with pytest.raises(InputError) as caught, reading("a file"):
        raise RuntimeError(text, what)
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)
