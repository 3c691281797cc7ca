"""A sweep of a model whose forward has what fvcore does not see: it is trained, counted and timed like any other."""

from pathlib import Path

import pandas as pd

from lrbench.results.log import read_records
from lrbench.results.records import Measurement

NET = """
import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.kind = nn.Parameter(torch.ones(2, 2, dtype=torch.int8), requires_grad=False)
        self.register_buffer("phase", torch.ones(2, dtype=torch.complex64))
        self.conv, self.recurrent = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.LSTM(8, 6, batch_first=True)
        self.head = nn.Linear(6, classes)

    def forward(self, images):
        tokens = self.conv(images).flatten(2).transpose(1, 2)
        tokens = functional.scaled_dot_product_attention(tokens, tokens, tokens)
        return self.head(self.recurrent(tokens)[0].mean(1))


def build(num_classes):
    return Net(num_classes)
"""


def test_a_model_with_attention_recurrence_and_odd_tensors_is_swept(workplace: Path, lrbench) -> None:
    (workplace / "nets.py").write_text(NET)
    result = lrbench(
        "sweep", "tiny.toml", "--set", "sweep.ranks=['rank=2']", "--set", "layer_sets.convs.include=['conv']"
    )
    assert result.exit_code == 0, result.output
    trials = pd.read_csv(workplace / "results/tiny/trials.csv")
    assert set(trials["state"]) == {"done"}
    tokens, attention = 16, 2 * 16 * 16 * 8
    recurrent = 16 * 4 * 6 * (8 + 6)
    dense = trials.iloc[0]
    assert dense["macs"] == tokens * 8 * 27 + attention + recurrent + 60
    assert dense["macs"] - dense["macs_fvcore"] == attention + recurrent
    assert dense["fvcore_differs"] == "lstm scaled_dot_product_attention"
    for record in read_records(workplace / "results/tiny"):
        if isinstance(record, Measurement):
            layers = sum(layer.macs - layer.dense_macs for layer in record.layers)
            assert record.cost.macs == record.dense_cost.macs + layers, "the closed form of what was cut"
