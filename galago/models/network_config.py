"""What the configurations of all networks share: copies with changes, a dictionary, and checks of numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

__all__ = ["NetworkConfig"]

Self = TypeVar("Self", bound="NetworkConfig")


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a network: everything that decides a weight's shape, so it is stored with a checkpoint.

    Subclasses are frozen dataclasses whose ``__post_init__`` calls the checks.
    """

    def with_(self: Self, **changes: Any) -> Self:
        """A copy with these fields changed, and checked like any other."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """All fields, but a ``head_width`` of 0: networks of before there was one still agree with theirs."""
        return {name: value for name, value in asdict(self).items() if name != "head_width" or value}

    def _freeze(self, *names: str) -> None:
        """Sequences as tuples: what came out of a file has lists."""
        for name in names:
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def _check_counts(self, *may_be_zero: str) -> None:
        """Every whole number is at least 1, of these at least 0.  Raises ValueError."""
        for name, value in asdict(self).items():
            lowest = 0 if name in may_be_zero else 1
            if type(value) is int and value < lowest:
                raise ValueError(f"{name} must be at least {lowest}, got {value}")

    def _check_shares(self, *names: str) -> None:
        """These lie in [0, 1).  Raises ValueError."""
        for name in names:
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    def _check_width(self, width: int, num_heads: int) -> None:
        """Heads of one width, and positions by sine and cosine.  Raises ValueError."""
        if width % num_heads or width % 2:
            raise ValueError(f"width {width} must be even and a multiple of num_heads {num_heads}")
