"""Use what `make dist` built as somebody without this repository does.

    python bench/try_wheel.py dist

The wheel is installed alone into a fresh virtual environment in a folder for temporary files. What it depends on comes
from the environment that runs this script: a .pth file puts the site-packages of that one behind the fresh one's own,
so that torch is not downloaded again. The .pth files there are not followed, and one of them is all that leads from
there to this repository.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

SHORT = ("baseline.epochs=0", "finetune.epochs=0", "sweep.ranks=['rank=8']", "sweep.layer_sets=['early']")
QUICK = ("latency.processes=1", "latency.rounds=10", "latency.limit_s=5.0")
COMMANDS = (
    ("init", "my.toml", "--model", "resnet18", "--weights", "none", "--data", "digits"),
    ("plan", "my.toml"),
    ("sweep", "digits", *(word for pair in (*SHORT, *QUICK) for word in ("--set", pair))),
    ("table", "results/digits"),
    ("report", "results/digits"),
)
LEFT = (
    "my.toml",
    "results/digits/trials.csv",
    "results/digits/report.html",
    "results/digits/figures/accuracy_macs.png",
)
"""What these commands leave behind."""
OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LRBENCH"))}
"""An environment in which nothing leads to this repository."""


def fresh(place: Path, wheel: Path) -> Path:
    """A virtual environment with a wheel and nothing else of its own; its folder of programs."""
    venv.create(place, with_pip=False)
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    pip = (sys.executable, "-m", "pip", "--python", str(programs / "python"))
    subprocess.run((*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)), env=OUTSIDE, check=True)
    inside = Path(sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)}))
    behind = (path for path in sys.path if path.endswith("-packages"))
    (inside / "dependencies.pth").write_text("".join(f"{path}\n" for path in behind), encoding="utf-8")
    subprocess.run((*pip, "check"), env=OUTSIDE, check=True)
    return programs


def use(programs: Path, place: Path, wheel: Path) -> None:
    """Run the commands in a folder of their own.

    Raises: CalledProcessError when one fails; AssertionError when another lrbench than the wheel's runs.
    """

    def run(*words: str) -> str:
        print("$", *words, flush=True)
        command = (str(programs / words[0]), *words[1:])
        done = subprocess.run(command, cwd=place, env=OUTSIDE, check=True, stdout=subprocess.PIPE, text=True)
        print(done.stdout, flush=True)
        return done.stdout.strip()

    where = Path(run("python", "-c", "import lrbench; print(lrbench.__file__)"))
    assert programs.parent in where.parents, f"{where} is not the lrbench of the wheel"
    version = wheel.name.split("-")[1]
    assert run("lrbench", "--version") == run("python", "-m", "lrbench", "--version") == f"lrbench {version}"
    for words in COMMANDS:
        run("lrbench", *words)
    missing = [name for name in LEFT if not (place / name).is_file()]
    assert not missing, f"not written: {missing}"


if __name__ == "__main__":
    (built,) = Path(sys.argv[1]).resolve().glob("*.whl")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / "work"
        work.mkdir()
        use(fresh(Path(temporary) / "environment", built), work, built)
    print(f"{built.name} works outside the repository")
