"""A process that runs the workloads of one version of the code on request; it imports nothing of lrbench.

    python -P worker.py WORKLOADS.py PARENT

The file defines `WORKLOADS`, a dict from a name to a function that builds a callable, and perhaps `BOUNDS`, from a name
to (reference name, largest ratio to it). A callable that returns a float has timed itself, in seconds. The process ends
with its parent, whose id it is given, and hears no Ctrl-C: whatever a workload raises is an answer.

One JSON request a line on stdin, one answer a line on stdout:

    {"do": "list"}                               {"names": [...], "bounds": {...}}
    {"do": "build", "name": ...}                 {"first_s": ...}
    {"do": "run", "name": ..., "calls": ...}     {"seconds": ...}    of one call
    anything that fails                          {"error": "..."}
"""

import ctypes
import gc
import json
import math
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

Built = dict[str, Callable[[], object]]


def seconds_of(call: Callable[[], object], calls: int) -> float:
    """Seconds of a call, over `calls` calls: by the clock, or the median of what the callable returns."""
    reported = []
    started = perf_counter()
    for _ in range(calls):
        result = call()
        if isinstance(result, float):
            if not (0 < result < math.inf):
                raise ValueError(f"it timed itself, and gave {result!r} seconds")
            reported.append(result)
    passed = (perf_counter() - started) / calls
    return median(reported) if reported else passed


def answer(request: dict[str, Any], module: dict[str, Any], built: Built) -> dict[str, Any]:
    """Do what a request says; `built` grows by what was built."""
    if request["do"] == "list":
        return {"names": [str(name) for name in dict(module["WORKLOADS"])], "bounds": module.get("BOUNDS", {})}
    name = request["name"]
    if request["do"] == "build":
        built[name] = module["WORKLOADS"][name]()
        gc.collect()
        gc.freeze()
        return {"first_s": seconds_of(built[name], 1)}
    return {"seconds": seconds_of(built[name], request["calls"])}


def settle() -> None:
    """What must hold before a time is taken: no garbage collection, and (where there is torch) denormals flushed."""
    gc.disable()
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(True)


def serve(path: str) -> None:
    """Answer requests until there are no more; whatever workloads print goes to stderr."""
    reply = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    module: dict[str, Any] = {}
    built: Built = {}
    for line in sys.stdin:
        try:
            if not module:
                module = runpy.run_path(path)
                settle()
            response = json.dumps(answer(json.loads(line), module, built))
        except BaseException as error:  # whatever the workload raised is the answer, sys.exit() too
            response = json.dumps({"error": in_words(error)})
        reply.write(response + "\n")


def in_words(error: BaseException) -> str:
    """An error with its place, even where its own text cannot be made."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    lines = traceback.format_exception_only(error)  # says so where a text cannot be made
    return f"{' '.join(''.join(lines).split())} ({place.filename}, line {place.lineno})"


def end_with_parent(parent: int) -> None:
    """End this process with its parent, on Linux, whatever it runs; Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    end_with_parent(int(sys.argv[2]))
    serve(sys.argv[1])
