"""What every section of a spec is."""

from pydantic import BaseModel, ConfigDict


class Choice(BaseModel):
    """A frozen section that refuses unknown keys, wrong types and infinite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
