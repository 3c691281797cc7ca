"""What numbers and names may be, wherever they stand: in a spec, a record, a plan file, a table."""

from typing import Annotated

from pydantic import Field

LARGEST = 2.0**62
"""The largest number of a table."""

LARGEST_RATE = 1e38
"""The largest learning rate; a float32 ends there."""

DIVERGED_LOSS = 1e9
"""A training whose mean loss is beyond has diverged."""

Whole = Annotated[int, Field(ge=0, le=2**62)]
Count = Annotated[int, Field(ge=1, le=2**62)]
Real = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Above0 = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=LARGEST_RATE, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]

Seed = Annotated[int, Field(ge=0, le=2**53)]
"""Exact as a float too."""

Times = Annotated[int, Field(ge=0, le=10**6)]
"""How often something is done: epochs, steps, ranks; how many images are in a batch."""

ImageSize = Annotated[int, Field(ge=1, le=1024)]
Classes = Annotated[int, Field(ge=1, le=100_000)]
Threads = Annotated[int, Field(ge=1, le=4096)]

Name = Annotated[str, Field(max_length=4096)]

ShownName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\p{C}\p{Zl}\p{Zp}]*$")]
"""A name that a user gives, without control characters."""
