"""A device that waits for its name, then understands one command, then waits again.

    python examples/python/wake_and_command.py "hey galago"

The wake phrase and the grammar are heard by one session: the network runs once for both.  Without the phrase,
a command is heard and dropped, so a conversation in the room switches nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import galago
from galago.streaming import Listener
from galago.streaming.sound.microphone import open_microphone

GRAMMAR = Path(__file__).resolve().parents[1] / "demo" / "home.yaml"
PATIENCE_NS = 8_000_000_000  # a command counts when it ends within this time of the phrase


def main(phrase: str) -> None:
    woken_ns: int | None = None
    with galago.open() as bundle, bundle.session(worker=True) as session, open_microphone() as microphone:
        session.set_phrases([phrase])
        session.set_grammar(GRAMMAR)
        print(f"Say “{phrase}”, then a command, such as “turn on the kitchen light”.")
        for event in Listener(microphone, session):
            if isinstance(event, galago.Phrase):
                woken_ns = event.end_ns
                print("listening …")
            elif isinstance(event, galago.Intent) and woken_ns is not None:
                if event.end_ns - woken_ns < PATIENCE_NS:
                    print(event.name, dict(event.slots))
                woken_ns = None


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "hey galago")
