"""Batches and the training loop."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from lrbench.config.recipes import Finetune, Recipe
from lrbench.config.sections import DataChoice
from lrbench.errors import InputError
from lrbench.learn.augment import AUGMENTATIONS
from lrbench.learn.batches import EVALUATED_PIXELS, training_batches, training_steps
from lrbench.learn.batches import test_batches as whole_batches
from lrbench.learn.datasets import Split
from lrbench.learn.optimizers import OPTIMIZERS, SCHEDULES, make_optimizer, make_schedule
from lrbench.learn.train import DivergedError, Training, _step_, batching, make_loss, pick_device, train_


def shades(count: int = 33, size: int = 8) -> Split:
    """Dark and bright images, told apart by their class."""
    labels = np.arange(count) % 2
    images = np.random.default_rng(0).integers(0, 60, (count, 3, size, size)).astype(np.uint8)
    images += (labels * 180).astype(np.uint8)[:, None, None, None]
    return Split(images=images, labels=labels.astype(np.int64), indices=np.arange(count))


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))


def run(model: nn.Module, recipe: Recipe, data: DataChoice, seed: int = 0) -> list:
    how = batching(recipe, data)
    return list(train_(model, shades(), recipe=recipe, how=how, stage="finetune", seed=seed))


SMALL = DataChoice(image_size=8)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_training_lowers_the_loss(optimizer: str, schedule: str) -> None:
    lr = 0.05 if optimizer == "sgd" else 0.005
    epochs = run(net(), Recipe(epochs=4, batch_size=8, lr=lr, optimizer=optimizer, schedule=schedule), SMALL)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].accuracy > 0.9


def test_a_recipe_that_no_table_knows_trains_nothing() -> None:
    for odd in ({"optimizer": "adam"}, {"schedule": "step"}):
        with pytest.raises(KeyError):
            run(net(), Recipe(epochs=1).model_copy(update=odd), SMALL)


def test_bfloat16_computes_in_bfloat16_and_keeps_float32_weights() -> None:
    seen, model = [], net()
    model[0].register_forward_hook(lambda module, images, output: seen.append(output.dtype))
    epochs = run(model, Recipe(epochs=4, batch_size=8, amp="bfloat16"), SMALL)
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert epochs[-1].accuracy > 0.9


def test_distillation_alone_draws_a_model_to_its_teacher() -> None:
    """Labels have no weight: from random labels the student still learns what the teacher knows."""
    teacher, student = net(), net()
    run(teacher, Recipe(epochs=4, batch_size=8), SMALL)
    wrong = dataclasses.replace(shades(), labels=np.zeros(33, dtype=np.int64))
    recipe = Finetune(epochs=6, batch_size=8, lr=0.02, distill=1.0, temperature=2.0)
    how = batching(recipe, SMALL)
    list(train_(student, wrong, recipe=recipe, how=how, stage="finetune", seed=0, teacher=teacher))
    images = next(whole_batches(shades(), how))[0]
    assert torch.equal(student(images).argmax(1), teacher(images).argmax(1))


def test_distillation_mixes_both_losses_by_its_weight() -> None:
    images, labels = torch.rand(5, 3, 8, 8), torch.tensor([0, 1, 0, 1, 1])
    model, teacher = net().eval(), nn.Sequential(*net()[:4], nn.Linear(144, 2)).eval()
    logits = model(images)
    alone, wholly, half = (
        make_loss(Finetune(distill=share), teacher)(images, logits, labels) for share in (0.0, 1.0, 0.5)
    )
    torch.testing.assert_close(half, (alone + wholly) / 2)
    same = make_loss(Finetune(distill=1.0), model)(images, logits, labels)
    assert same.item() == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="needs a teacher"):
        make_loss(Finetune(distill=0.5), None)


def test_frozen_batch_norm_keeps_its_statistics() -> None:
    for how, same in (("frozen", True), ("train", False)):
        model = net()
        before = model[1].running_mean.clone()
        run(model, Finetune(epochs=1, batch_size=8, batch_norm=how), SMALL)
        assert torch.equal(model[1].running_mean, before) == same


def test_keys_that_came_later_are_kept_where_they_are_not_at_their_defaults() -> None:
    assert (
        Finetune(distill=0.5, batch_norm="frozen").model_dump().items()
        >= {"distill": 0.5, "batch_norm": "frozen"}.items()
    )


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_the_same_seed_gives_the_same_weights(augment: str) -> None:
    data = SMALL.model_copy(update={"augment": augment})

    def weights(seed: int) -> torch.Tensor:
        model = net()
        run(model, Finetune(epochs=2, batch_size=8), data, seed)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_a_loss_that_is_no_longer_finite_stops_the_training() -> None:
    with pytest.raises(DivergedError, match=r"loss became (nan|inf) in epoch \d+, step \d+ of the finetune"):
        run(net(), Recipe(epochs=3, lr=1e30, batch_size=8), SMALL)


def test_a_last_batch_of_one_image_is_left_out() -> None:
    how = batching(Recipe(batch_size=8), SMALL)
    torch.manual_seed(0)
    sizes = [len(labels) for _, labels in training_batches(shades(33), how)]
    assert sizes == [8, 8, 8, 8]
    assert training_steps(shades(33), how) == 4
    assert training_steps(shades(34), how) == 5
    assert sum(len(labels) for _, labels in whole_batches(shades(33), how)) == 33


def test_pixels_are_scaled_and_normalised_by_channel() -> None:
    data = DataChoice(image_size=8, mean=(0.5, 0.0, 1.0), std=(0.5, 1.0, 2.0))
    split = dataclasses.replace(shades(1), images=np.full((1, 3, 8, 8), 255, dtype=np.uint8))
    ((images, _),) = whole_batches(split, batching(Recipe(), data))
    assert images[0, :, 0, 0].tolist() == [1.0, 1.0, 0.0]
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_evaluation_does_not_depend_on_the_size_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    how = batching(Recipe(), SMALL)
    whole = torch.cat([images for images, _ in whole_batches(shades(), how)])
    monkeypatch.setitem(EVALUATED_PIXELS, "cpu", 5 * 8 * 8)
    batches = list(whole_batches(shades(), how))
    assert [len(labels) for _, labels in batches] == [5] * 6 + [3]
    assert torch.equal(torch.cat([images for images, _ in batches]), whole)


def test_the_schedule_waits_for_a_step_that_was_left_out() -> None:
    """In float16 the first steps overflow the loss scale: the optimizer leaves them out, and so must the schedule."""
    model, rates = net(), []
    how, recipe = batching(Recipe(), SMALL), Recipe(epochs=1, schedule="cosine")
    optimizer = make_optimizer(model, recipe)
    schedule = make_schedule(optimizer, recipe, steps=4)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    training = Training(
        forward=model,
        optimizer=optimizer,
        schedule=schedule,
        scaler=scaler,
        recipe=recipe,
        how=how,
        stage="finetune",
        loss=make_loss(recipe, None),
    )
    for _ in range(2):
        optimizer.zero_grad()
        _step_(training, model(torch.rand(4, 3, 8, 8)).square().mean() * 1e4)
        rates.append(schedule.get_last_lr()[0])
    assert rates == [recipe.lr] * 2, "no step was made"
    scaler.update(1.0)
    optimizer.zero_grad()
    _step_(training, model(torch.rand(4, 3, 8, 8)).square().mean())
    assert schedule.get_last_lr()[0] < recipe.lr


@pytest.mark.parametrize("name", ["warp", "cuda:99", "meta-drive"])
def test_a_device_that_is_not_here_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"device '{name}' is not available on this machine"):
        pick_device(name)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_training_learns_as_the_plain_one() -> None:
    plain, compiled = net(), net()
    recipe = Recipe(epochs=2, batch_size=8)
    losses = [epoch.loss for epoch in run(plain, recipe, SMALL)]
    again = [epoch.loss for epoch in run(compiled, recipe.model_copy(update={"compile": True}), SMALL)]
    assert again == pytest.approx(losses, rel=1e-3)
    assert plain.state_dict().keys() == compiled.state_dict().keys(), "weights are kept under the model's own names"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("fits", [True, False])
@pytest.mark.parametrize("augment", ["none", "resized-crop-flip"])
def test_a_gpu_learns_what_a_processor_learns(fits: bool, augment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrbench.learn.device_images.SHARE", 0.5 if fits else 0.0)
    data = SMALL.model_copy(update={"augment": augment})
    losses = [
        [epoch.loss for epoch in run(net(), Recipe(epochs=3, batch_size=8, amp=False, device=device), data)]
        for device in ("cpu", "cuda")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
