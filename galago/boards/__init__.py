"""Boards: what a machine is, as data, for the bench and the doctor."""

from __future__ import annotations

from galago.boards.profile import BoardProfile, this_machine

__all__ = ["BoardProfile", "this_machine"]
