"""What the screen says of the time left."""

from io import StringIO

from rich.console import Console
from samples import measurement, trial

from lrbench.screen import Screen


def test_a_truncation_counts_in_the_time_left() -> None:
    """Five units: an epoch of the baseline, and for either trial an epoch and the rest, which goes by truncation."""
    first, second = trial("t0"), trial("t1")
    text, times = StringIO(), iter([0.0, 0.0, 10.0, 30.0, 40.0])
    screen = Screen(
        Console(file=text, width=200), [first, second], epochs={"baseline": 1, "finetune": 1}, clock=times.__next__
    )
    screen.progress("first", "truncate", 0, 20)
    screen.progress("first", "finetune", 0, 1)
    screen.finish(measurement(first))
    screen.progress("second", "truncate", 10, 20)
    screen.progress("second", "truncate", 20, 20)
    screen.progress("second", "evaluate", 0, 1)
    lines = [line for line in text.getvalue().splitlines() if line.startswith("[")]
    assert lines == [
        "[0:00:00] first: truncate ",
        "[0:00:10] first: finetune epoch 1 of 1",
        "[0:00:30, about 0:00:20 left] second: truncate ",
        "[0:00:40, about 0:00:10 left] second: evaluate ",
    ]


def test_trials_that_follow_count_in_the_time_left() -> None:
    """A trial of four units, two of them its baseline; one that shares the baseline adds two."""
    first, second = trial("t0", baseline_epochs=2), trial("t1", baseline_epochs=2)
    text, times = StringIO(), iter([0.0, 10.0, 20.0])
    screen = Screen(Console(file=text, width=200), [first], epochs={"baseline": 2, "finetune": 1}, clock=times.__next__)
    screen.progress("first", "finetune", 0, 1)
    screen.finish(measurement(first))
    screen.add([second])
    screen.progress("second", "truncate", 0, 1)
    lines = [line for line in text.getvalue().splitlines() if line.startswith("[")]
    assert lines == ["[0:00:10] first: finetune epoch 1 of 1", "[0:00:20, about 0:00:10 left] second: truncate "]


def test_timings_have_a_time_left_of_their_own() -> None:
    """Trials do not count timings, and say so; timings go by those since the first, whatever was made before."""
    text, times = StringIO(), iter([0.0, 10.0, 50.0, 50.0, 80.0])
    screen = Screen(Console(file=text, width=200), [trial("t0")], epochs={}, then="timings", clock=times.__next__)
    screen.finish(measurement(trial("t0")))
    screen.progress("t0", "evaluate", 0, 1)
    screen.progress("latency", "timing 1 of 2, process 2", 2, 6)
    screen.progress("latency", "timing 2 of 2, process 2", 3, 6)
    lines = [line for line in text.getvalue().splitlines() if line.startswith("[")]
    assert lines == [
        "[0:00:10, about 0:00:00 left, then timings] t0: evaluate ",
        "[0:00:50] latency: timing 1 of 2, process 2 ",
        "[0:01:20, about 0:01:30 left] latency: timing 2 of 2, process 2 ",
    ]
