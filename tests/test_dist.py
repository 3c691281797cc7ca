"""The package as it is handed out: its files, its metadata, what it imports, and the completion of a shell."""

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from lrbench.cli import app

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lrbench"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TAKEN_BY = ("export", "ray", "hub", "timm")
"""The extras that lrbench itself imports."""
WITH_ANOTHER = {"annotated-types": "pydantic", "pydantic-core": "pydantic", "markupsafe": "jinja2"}
"""What comes with a dependency that cannot do without."""
UNTESTED = {"huggingface-hub", "timm"}
"""Extras that `make` does not install."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel, built by the backend from a copy of what it is made of."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(PACKAGE, source / "lrbench", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]):
        shutil.copyfile(ROOT / name, source / name)
    build = "from setuptools import build_meta; build_meta.build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    return zipfile.ZipFile(next(source.glob("*.whl")))


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: zipfile.ZipFile) -> None:
    files = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    kept = {name for name in files if "__pycache__" not in name}
    assert {f"lrbench/{name}" for name in ("py.typed", "specs/digits.toml", "report/page/assets/page.js")} <= kept
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == kept


def test_the_metadata_of_the_wheel_are_valid_and_name_licence_and_types(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Metadata.from_email(wheel.read(name), validate=True)
    assert (metadata.name, str(metadata.version)) == (PROJECT["name"], PROJECT["version"])
    assert metadata.license_expression == PROJECT["license"]
    assert f"{name.rpartition('/')[0]}/licenses/LICENSE" in wheel.namelist()
    assert "Typing :: Typed" in (metadata.classifiers or [])
    assert message_from_bytes(wheel.read(name)).get_payload().startswith("# lrbench")


def test_the_citation_says_what_the_project_says() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {key: citation[key] for key in ("version", "license")} == {
        key: PROJECT[key] for key in ("version", "license")
    }


def imported(path: Path) -> set[str]:
    """The packages that a file imports anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"lrbench"}


def names_of(texts: Iterable[str]) -> set[str]:
    """The packages that requirements name."""
    return {canonicalize_name(Requirement(text).name) for text in texts}


def test_everything_that_is_imported_is_declared() -> None:
    """The environment that `make dist` tries the wheel in has more than what is declared."""
    extras = PROJECT["optional-dependencies"]
    declared = names_of([*PROJECT["dependencies"], *(text for name in TAKEN_BY for text in extras[name])])
    homes = packages_distributions()
    known = {name for path in PACKAGE.rglob("*.py") for name in imported(path)}
    assert {"torch", "pandas", "rich"} <= known
    needed = {name: {canonicalize_name(home) for home in homes.get(name, [name])} for name in known}
    either = {name: homes | {WITH_ANOTHER.get(home, home) for home in homes} for name, homes in needed.items()}
    assert [name for name, homes in either.items() if not homes & declared] == []


def test_what_is_declared_has_a_tested_version() -> None:
    pinned = names_of(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] != "#")
    extras = PROJECT["optional-dependencies"].values()
    declared = names_of([*PROJECT["dependencies"], *(text for texts in extras for text in texts)])
    assert declared - pinned == {"lrbench", *UNTESTED}


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("lrbench sens", ["sensitivity"]), ("lrbench sweep --retry", ["--retry-failed"]), ("lrbench re", None)],
)
def test_a_shell_completes_commands_and_options(typed: str, offered: list[str] | None) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_LRBENCH_COMPLETE": "complete_bash"}
    result = CliRunner().invoke(app, prog_name="lrbench", env=words)
    assert result.output.split() == (offered or ["recommend", "report", "regress"])
