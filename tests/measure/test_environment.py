"""The fingerprint of the machine."""

import pytest
import torch

from lrbench.measure.environment import peak_memory_bytes, read_commit, read_environment


def test_the_environment_is_the_same_each_time_and_knows_this_machine() -> None:
    found = read_environment()
    assert found == read_environment()
    assert found.torch == torch.__version__
    assert found.cpus >= 1
    assert len(found.key) == 12
    assert peak_memory_bytes() > 10**7
    assert read_commit()


def test_a_variable_that_may_change_latency_makes_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_environment()
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert read_environment().key != before.key
    assert "OMP_WAIT_POLICY=ACTIVE" in read_environment().variables


@pytest.mark.parametrize("name", ["KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "CUDA_MODULE_LOADING", "OMP_NUM_THREADS"])
def test_a_variable_that_a_library_sets_by_itself_does_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn sets the first two where it is imported: a sweep loads the digits, `lrbench time` does not."""
    monkeypatch.delenv(name, raising=False)
    before = read_environment()
    monkeypatch.setenv(name, "1")
    assert read_environment() == before
