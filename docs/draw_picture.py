"""Draw docs/picture.svg, the picture that README.md opens with.

    python docs/draw_picture.py

It is a drawing of the path that sound takes, not a measurement: wave, bands and times are made up here
so that they fit the sentence.  What it shows is exact in kind: chunks of 320 ms, tokens of 40 ms, two
heads, partials, a final and an intent.
"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 1000, 520
LEFT, RIGHT = 178, 962  # the time axis, in pixels
SECONDS = 2.24  # seven chunks of 320 ms
CHUNK_S, TOKEN_S = 0.32, 0.04

INK, QUIET, PAPER, BOARD, LINE = "#16302b", "#5d756e", "#ffffff", "#eef4f1", "#b9cdc5"
AMBER, GREEN, RUST = "#d98e04", "#1f7a5c", "#b4532a"

#: (word, begin_s, phones): "turn on the kitchen light", as a person might say it.
SENTENCE = [
    ("turn", 0.20, ["T", "ER", "N"]),
    ("on", 0.48, ["AA", "N"]),
    ("the", 0.70, ["DH", "AH"]),
    ("kitchen", 0.84, ["K", "IH", "CH", "AH", "N"]),
    ("light", 1.32, ["L", "AY", "T"]),
]
WORD_ENDS = [0.46, 0.68, 0.82, 1.28, 1.62]


def x_of(seconds: float) -> float:
    return LEFT + (RIGHT - LEFT) * seconds / SECONDS


def text(x: float, y: float, words: str, size: float = 14, fill: str = INK, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" {extra}>{escape(words)}</text>'


def box(
    x: float, y: float, width: float, height: float, fill: str, stroke: str = "none", radius: float = 5
) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{radius}" fill="{fill}" stroke="{stroke}"/>'
    )


def loudness(seconds: float) -> float:
    """Envelope of the speech in [0, 1]: a hump for each phone, a whisper of noise between them."""
    level = 0.03
    for (_, begin_s, phones), end_s in zip(SENTENCE, WORD_ENDS, strict=True):
        if begin_s <= seconds < end_s:
            step = (end_s - begin_s) / len(phones)
            index = int((seconds - begin_s) / step)
            height = 0.35 if phones[index] in {"T", "K", "CH", "DH", "N"} else 1.0
            level = max(level, height * math.sin(math.pi * ((seconds - begin_s) / step - index)) ** 0.7)
    return level


def wave(y: float, height: float) -> str:
    points = []
    for index in range(1120):
        seconds = index * SECONDS / 1120
        carrier = math.sin(index * 2.399) * (0.6 + 0.4 * math.sin(index * 0.37))
        points.append(f"{x_of(seconds):.1f},{y - carrier * loudness(seconds) * height:.1f}")
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="{AMBER}" stroke-width="1"/>'


def bands(y: float, height: float) -> str:
    """Log-mel energies, drawn coarser than they are: 16 bands of the 80, one column for each token."""
    cells, rows = [], 16
    for column in range(round(SECONDS / TOKEN_S)):
        seconds = (column + 0.5) * TOKEN_S
        for row in range(rows):
            formant = 3 + 3 * math.sin(seconds * 5) + 6 * (row > 7)
            shape = math.exp(-(((row % 8) - formant % 8) ** 2) / 5) + 0.25 * (row < 3)
            opacity = min(1.0, 0.06 + loudness(seconds) * shape)
            cells.append(
                f'<rect x="{x_of(column * TOKEN_S):.1f}" y="{y + (rows - 1 - row) * height / rows:.1f}" '
                f'width="14.2" height="{height / rows + 0.3:.1f}" fill="{GREEN}" opacity="{opacity:.2f}"/>'
            )
    return "".join(cells)


def chunks(y: float, height: float) -> str:
    """The ear: one step for each chunk, its state handed on inside the engine."""
    parts = []
    for index in range(round(SECONDS / CHUNK_S)):
        x, width = x_of(index * CHUNK_S), x_of(CHUNK_S) - LEFT - 14
        parts.append(box(x, y, width, height, PAPER, GREEN))
        parts.append(text(x + width / 2, y + 19, "Conformer", 13, GREEN, 'text-anchor="middle"'))
        parts.append(text(x + width / 2, y + 35, "int8 step", 11, QUIET, 'text-anchor="middle"'))
        if index:
            parts.append(
                f'<path d="M{x - 13:.1f} {y + height / 2} h9" stroke="{GREEN}" stroke-width="2" '
                'marker-end="url(#tip)"/>'
            )
    return "".join(parts)


def heads(y_phones: float, y_letters: float) -> str:
    parts = []
    for (word, begin_s, phones), end_s in zip(SENTENCE, WORD_ENDS, strict=True):
        step = (end_s - begin_s) / len(phones)
        for index, phone in enumerate(phones):
            x, width = x_of(begin_s + index * step), x_of(step) - LEFT - 2
            parts.append(box(x, y_phones - 14, width, 20, "#d8eae2", radius=3))
            parts.append(text(x + width / 2, y_phones, phone, 11, INK, 'text-anchor="middle"'))
        for index, letter in enumerate(word):
            x = x_of(begin_s + (index + 0.5) * (end_s - begin_s) / len(word))
            parts.append(text(x, y_letters, letter, 15, INK, 'text-anchor="middle"'))
    for begin_s, end_s in ((0.0, 0.19), (1.63, SECONDS)):
        parts.append(text(x_of((begin_s + end_s) / 2), y_phones, "SIL", 11, QUIET, 'text-anchor="middle"'))
    return "".join(parts)


def events(y: float) -> str:
    """What the program is handed, when: partials after their chunk, the final after the silence."""
    parts = []
    for seconds, words, row in (
        (0.64, "turn on", 0),
        (0.96, "turn on the", 1),
        (1.60, "turn on the kitchen light", 0),
    ):
        x = x_of(seconds)
        parts.append(f'<path d="M{x:.1f} {y - 26} V{y + row * 24 - 5}" stroke="{LINE}"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y + row * 24 - 5}" r="3.5" fill="{QUIET}"/>')
        anchor = ' text-anchor="end"' if seconds < 1 else ""
        shift = -9 if seconds < 1 else 9
        parts.append(
            text(x + shift, y + row * 24, f"partial “{words}”", 12.5, QUIET, f'font-style="italic"{anchor}')
        )
    parts.append(box(LEFT + 268, y + 38, RIGHT - LEFT - 268, 34, GREEN))
    words = "final “turn on the kitchen light”   intent LightOn {area: kitchen}"
    parts.append(
        text(
            (LEFT + 268 + RIGHT) / 2, y + 60, words, 14.5, PAPER, 'text-anchor="middle" xml:space="preserve"'
        )
    )
    return "".join(parts)


def label(y: float, name: str, detail: str) -> str:
    return text(40, y, name, 14.5, INK, 'font-weight="600"') + text(40, y + 16, detail, 11.5, QUIET)


def picture() -> str:
    pins = "".join(
        box(70 + 30 * index, top, 12, 14, LINE, radius=2) for index in range(29) for top in (76, HEIGHT - 34)
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="Inter, Helvetica, Arial, sans-serif">',
        "<title>galago: microphone to ear to text and intent, on a board</title>",
        f'<defs><marker id="tip" markerWidth="6" markerHeight="6" refX="3" refY="3" orient="auto">'
        f'<path d="M0 0 L6 3 L0 6 z" fill="{GREEN}"/></marker></defs>',
        box(0, 0, WIDTH, HEIGHT, PAPER, radius=14),
        wave(44, 30),
        label(40, "microphone", "16 kHz, one channel"),
        pins,
        box(22, 88, WIDTH - 44, HEIGHT - 120, BOARD, LINE, 10),
        label(124, "log-mel", "80 bands, every 10 ms"),
        bands(108, 62),
        label(202, "ear", "one step for 320 ms"),
        chunks(188, 46),
        label(266, "phones", "every 40 ms"),
        label(308, "characters", "every 40 ms"),
        heads(272, 314),
        label(372, "events", "pulled by your program"),
        events(374),
        text(40, HEIGHT - 48, "on the board: C++17 behind a C ABI, no torch", 11.5, RUST),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    target = Path(__file__).with_name("picture.svg")
    target.write_text(picture(), encoding="utf-8")
    print(f"{target.name}: {target.stat().st_size} bytes")
