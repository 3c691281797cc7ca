"""A disk that refuses one call of a real sweep: one line, nothing lost, the same tables from the same command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.skipif(shutil.which("cc") is None, reason="the library that fails calls is built by cc, which is absent")
def test_a_call_that_the_disk_refuses_once_loses_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.study_refusals", str(tmp_path), "--limit", "6"]
    known = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = pd.read_csv(tmp_path / "refusals.csv")
    assert len(rows) >= 3
    assert (rows["errors"] <= 1).all()
    assert not rows["traceback"].any()
