"""What went wrong, in a form that a record can hold."""

import torch

from lrbench.guard import reason_of


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a machine's or a GPU's memory was not enough."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in reason_of(error)


def plain_text(text: str) -> str:
    """Text that can be written as UTF-8: file names may have bytes that cannot."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
