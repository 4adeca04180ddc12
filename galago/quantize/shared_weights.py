"""Writing the graphs of a role over one file of weights.

Quantized once, the graphs of all chunk sizes of an ear hold the same constants, except for the projected
positions and some shapes. OpenVINO's IR addresses a constant by offset and size, so one ``.bin`` can serve
every ``.xml``.
"""

from __future__ import annotations

import re
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openvino as ov

__all__ = ["save_graphs"]

_ALIGNMENT_BYTES = 64  # a cache line, and the widest vector register
_AUTOMATIC_NAME = re.compile(r"[A-Za-z]+_\d+")
# What OpenVINO notes beside a layer and never reads again: where it came from.
_UNREAD_NOTES = re.compile(r"fused_names.*|original_.*|precise.*")


def save_graphs(models: Mapping[Path, ov.Model], weights: Path, name: str) -> None:
    """Write each model as the ``.xml`` at its path and all constants, each once, into ``weights``.

    ``name`` is what the graphs are called inside.

    The same models give the same bytes: nothing of the machine, the time or the process goes in.
    """
    offsets: dict[bytes, int] = {}
    shared = bytearray()
    for path, model in models.items():
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / "graph.xml"
            ov.save_model(model, draft, compress_to_fp16=False)
            tree = ElementTree.parse(draft)
            constants = draft.with_suffix(".bin").read_bytes()
        for data in tree.getroot().iter("data"):
            if "offset" not in data.attrib:
                continue
            begin, size = int(data.attrib["offset"]), int(data.attrib["size"])
            value = constants[begin : begin + size]
            if value not in offsets:
                shared.extend(bytes(-len(shared) % _ALIGNMENT_BYTES))
                offsets[value] = len(shared)
                shared.extend(value)
            data.set("offset", str(offsets[value]))
        _strip(tree, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        tree.write(path, encoding="utf-8", xml_declaration=True)
    weights.write_bytes(shared)


def _strip(tree: ElementTree.ElementTree[Any], name: str) -> None:
    root = tree.getroot()
    root.set("name", name)
    for note in root.findall("rt_info"):  # versions, options and paths of the conversion
        root.remove(note)
    for layer in root.iter("layer"):
        if _AUTOMATIC_NAME.fullmatch(layer.get("name", "")):  # counts up within a process
            layer.set("name", f"{layer.get('type')}_{layer.get('id')}")
        for note in layer.findall("rt_info"):
            for attribute in list(note):
                if _UNREAD_NOTES.fullmatch(attribute.get("name", "")):
                    note.remove(attribute)
            if not len(note):
                layer.remove(note)
    ElementTree.indent(tree, space="")
