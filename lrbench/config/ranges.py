"""What numbers and names may be, wherever they stand: in a spec, a record, a plan file, a table."""

from os.path import expanduser
from typing import Annotated

from annotated_types import Ge, Gt, Le, MaxLen
from pydantic import AfterValidator, AllowInfNan, Field

LARGEST = 2.0**62
"""The largest number of a table."""

LARGEST_RATE = 1e38
"""The largest learning rate; a float32 ends there."""

DIVERGED_LOSS = 1e9
"""A training whose mean loss is beyond has diverged."""

Whole = Annotated[int, Ge(0), Le(2**62)]
Count = Annotated[int, Ge(1), Le(2**62)]
Real = Annotated[float, Ge(-LARGEST), Le(LARGEST), AllowInfNan(False)]
Amount = Annotated[float, Ge(0), Le(LARGEST), AllowInfNan(False)]
Above0 = Annotated[float, Gt(0), Le(LARGEST), AllowInfNan(False)]
Rate = Annotated[float, Ge(0), Le(LARGEST_RATE), AllowInfNan(False)]
Share = Annotated[float, Ge(0), Le(1)]

MOST_SEED = 2**53
"""Exact as a float too."""

Seed = Annotated[int, Ge(0), Le(MOST_SEED)]

Times = Annotated[int, Ge(0), Le(10**6)]
"""How often something is done: epochs, steps, ranks; how many images are in a batch."""

ImageSize = Annotated[int, Ge(1), Le(1024)]
Classes = Annotated[int, Ge(1), Le(100_000)]
Threads = Annotated[int, Ge(1), Le(4096)]

Name = Annotated[str, MaxLen(4096)]

ShownName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\p{C}\p{Zl}\p{Zp}]*$")]
"""A name that a user gives, without control characters."""

Home = Annotated[str, AfterValidator(expanduser)]
"""A path; a `~` at its beginning is the home directory."""
