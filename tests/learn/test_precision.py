"""The number format of training on each kind of machine, and where images and memory are kept."""

import ctypes
import sys

import numpy as np
import pytest
import torch

from lrbench.config.recipes import Finetune, Recipe
from lrbench.learn.datasets import Split
from lrbench.learn.device_images import _resident, gathered, prefetched, resident
from lrbench.learn.memory import given_back, keep_freed_memory, kept_memory
from lrbench.learn.precision import autocast_dtype, format_of, is_slow, resolve

CPU, CUDA, MPS = map(torch.device, ("cpu", "cuda", "mps"))
AMX, AVX512, AVX2 = {"avx512_bf16", "amx_bf16"}, {"avx512_bf16", "avx512f"}, {"avx2", "fma"}


@pytest.mark.parametrize(
    ("amp", "device", "flags", "resolved"),
    [
        ("auto", CPU, AMX, "bfloat16"),
        ("auto", CPU, AVX512, "bfloat16"),
        ("auto", CPU, AVX2, False),
        ("auto", CPU, {"asimd", "bf16"}, False),
        ("auto", MPS, AMX, False),
        (True, CPU, AMX, True),
        (False, CPU, AMX, False),
        ("bfloat16", CPU, AVX2, "bfloat16"),
        ("bfloat16", CUDA, (), "bfloat16"),
        (False, CUDA, (), False),
    ],
)
def test_the_number_format_is_what_the_machine_is_fast_in(amp: object, device: torch.device, flags, resolved) -> None:
    assert resolve(Recipe(amp=amp), device, flags, image_size=64).amp == resolved


@pytest.mark.parametrize("amp", [True, "auto"])
@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_trains_in_bfloat16_where_it_can(
    amp: object, supported: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    recipe = resolve(Recipe(amp=amp), CUDA, (), image_size=64)
    assert autocast_dtype(recipe, CUDA) == dtype
    assert format_of(recipe, CUDA) == str(dtype).removeprefix("torch.")


def test_resolving_twice_changes_nothing() -> None:
    for amp in (True, False, "auto", "bfloat16"):
        once = resolve(Finetune(amp=amp), CPU, AMX, image_size=64)
        assert resolve(once, CPU, AMX, image_size=64) == once


def test_small_batches_stay_in_float32_on_a_processor() -> None:
    small, large = (Recipe(amp="auto", batch_size=size) for size in (31, 32))
    assert [resolve(recipe, CPU, AMX, image_size=64).amp for recipe in (small, large)] == [False, "bfloat16"]


def test_slow_bfloat16_is_told() -> None:
    slow = Recipe(amp="bfloat16")
    assert is_slow(slow, CPU, AVX2)
    assert not is_slow(slow, CPU, AMX)
    assert not is_slow(slow, CUDA, ())
    assert not is_slow(slow.model_copy(update={"epochs": 0}), CPU, AVX2), "nothing is trained"
    assert not is_slow(resolve(Recipe(amp="auto"), CPU, AVX2, image_size=64), CPU, AVX2)


def split() -> Split:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2500, 3, 4, 4)).astype(np.uint8)
    return Split(images=images, labels=np.arange(2500) % 7, indices=np.arange(2500))


CHUNKS = [np.array([4, 2, 0]), np.array([1, 2499]), np.array([1030, 5, 6, 7])]


def test_images_come_alike_from_a_device_a_thread_and_memory() -> None:
    data = split()
    direct = list(gathered(data, CHUNKS, CPU))
    held = resident(data.images, CPU)
    assert held is not None
    for (images, labels), chunk, (ahead, numbers) in zip(direct, CHUNKS, prefetched(data, CHUNKS, CPU), strict=True):
        assert torch.equal(images, torch.from_numpy(data.images[chunk]))
        assert torch.equal(labels, torch.from_numpy(data.labels[chunk]))
        assert torch.equal(ahead, images)
        assert torch.equal(numbers, labels)
        assert torch.equal(held[torch.from_numpy(chunk)], images)
    assert list(gathered(data, [], CPU)) == list(prefetched(data, [], CPU)) == []


def test_images_stay_on_a_device_as_long_as_they_are_used() -> None:
    data = split()
    before = len(_resident)
    assert resident(data.images, CPU) is resident(data.images, CPU)
    assert len(_resident) == before + 1
    del data
    assert len(_resident) == before


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
def test_freed_memory_is_kept_once_asked_for() -> None:
    told = keep_freed_memory()
    assert told == keep_freed_memory() == kept_memory()
    assert "mmap_threshold=1073741824" in told
    with given_back():
        assert kept_memory() == told, "only for a while"
    assert kept_memory() == told
