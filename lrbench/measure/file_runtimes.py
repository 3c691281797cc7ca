"""The runtimes that keep a model in a file: torch.export and ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.config.axes import Setting
from lrbench.measure.prepared import InFile, Opened, Prepared, Runtime, in_torch

BATCH = ({0: torch.export.Dim("batch")},)
"""The first dimension of the input is free."""


def _refuses(setting: Setting) -> str:
    """Files hold the model as it was trained."""
    values = setting.device, setting.dtype, setting.memory_format, setting.folded
    if values == ("cpu", "float32", "contiguous", False):
        return ""
    return "it supports only device cpu, dtype float32, memory format contiguous and batch norm kept"


def through_file(in_file: InFile) -> Callable[[nn.Module, Tensor, Setting], Prepared]:
    """Prepare a model by writing it to a file and opening that."""

    def prepare(model: nn.Module, inputs: Tensor, setting: Setting) -> Prepared:
        with TemporaryDirectory(prefix="lrbench-") as folder:
            file = Path(folder) / f"model{in_file.suffix}"
            in_file.write(model, file, torch.cat([inputs, inputs]))
            return in_file.open(file, setting)(inputs)

    return prepare


def _write_pt2(model: nn.Module, file: Path, inputs: Tensor) -> None:
    torch.export.save(torch.export.export(model, (inputs,), dynamic_shapes=BATCH), file)


def _open_pt2(file: Path, setting: Setting) -> Opened:
    model = torch.export.load(file).module()
    return lambda inputs: in_torch(lambda images: model(images.contiguous()), model, inputs, setting)


def _write_onnx(model: nn.Module, file: Path, inputs: Tensor) -> None:
    program = torch.onnx.export(
        model,
        (inputs,),
        dynamo=True,
        dynamic_shapes=BATCH,
        input_names=["images"],
        output_names=["logits"],
        verbose=False,
    )
    assert program is not None
    program.save(str(file))


def _open_onnx(file: Path, setting: Setting) -> Opened:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = setting.threads, 1
    options.add_session_config_entry("session.force_spinning_stop", "1")  # else its threads slow the session beside it
    content = file.read_bytes()

    def session() -> Any:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    held = [session()]

    def renew() -> None:
        held[0] = session()

    def on(inputs: Tensor) -> Prepared:
        def call() -> Tensor:
            return torch.from_numpy(held[0].run(None, {"images": inputs.contiguous().numpy()})[0])

        return Prepared(call=call, renew=renew, peak_bytes=lambda: None)

    return on


PT2 = InFile(suffix=".pt2", write=_write_pt2, open=_open_pt2)
ONNX = InFile(suffix=".onnx", write=_write_onnx, open=_open_onnx)

TORCH_EXPORT = Runtime(prepare=through_file(PT2), refuses=_refuses, in_file=PT2)
ONNXRUNTIME = Runtime(
    prepare=through_file(ONNX),
    refuses=_refuses,
    package="onnxruntime",
    needs=("onnx", "onnxscript", "onnxruntime"),
    in_file=ONNX,
)
