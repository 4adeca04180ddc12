"""Weights that others published, taken over key by key: one module for each family of layouts.

An importer is a function of a :class:`~galago.models.published.folder.PublishedFolder` to
:class:`~galago.models.published.importer.Imported`; ``galago.models.checkpoint`` lists them by the name of
their architecture. It asks for every tensor by its published name; what is left over at the end is refused.
"""

from __future__ import annotations

__all__: list[str] = []
