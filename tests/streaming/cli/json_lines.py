"""What a JSON line of `galago listen` holds, in this order: programs read it."""

from __future__ import annotations

KEYS = [
    "type",
    "file",
    "text",
    "words",
    "name",
    "slots",
    "confidence",
    "begin_s",
    "end_s",
    "latency_ms",
]
