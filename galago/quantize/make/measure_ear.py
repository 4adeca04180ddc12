"""An ear on held-out clips: word error rates by corpus, busy time of a chunk, the clips it heard worst."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from galago.models.ear import Ear
from galago.models.features import LogMel
from galago.models.training.ear.corpus import Corpus
from galago.quantize.compile_openvino import convert_onnx
from galago.quantize.ear.evaluate import Utterance, dev_utterances, edit_distance
from galago.quantize.ear.export import export_onnx
from galago.quantize.ear.network import load_ear
from galago.quantize.ear.oracle import Oracle
from galago.quantize.ear.recipe import EarPackRecipe
from galago.quantize.make.pictures import spectrogram
from galago.quantize.timing import step_ms
from galago.runtime.manifest import read_manifest

__all__ = ["measure"]

_NUM_EXAMPLES = 6
_MAX_EXAMPLE_S = 12.0


def measure(
    model: Path,
    bundle: Path | None,
    recipe: EarPackRecipe,
    *,
    corpora: Path,
    step_times: bool,
    second_pass: bool = False,
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Measures and the worst clips, of the first of the recipe's chunk sizes.

    Args:
        model: a run's ``model.pt``, heard in float where there is no ``bundle``.
        corpora: folder of decoded corpora.
        second_pass: the run is of the second pass, and heard in its chunks.

    Raises:
        CheckpointError, CorpusError, ExportError, GalagoError: as their messages say.
    """
    network = load_ear(model)
    oracle = (
        _float(network, _chunk_tokens(network, recipe, second_pass))
        if bundle is None
        else _packed(network, bundle)
    )
    measures: dict[str, float] = {"step_ms": step_ms(oracle.request)} if step_times else {}
    settings = recipe.evaluation
    if not settings.corpora:
        return measures, []
    utterances = dev_utterances(
        [Corpus(corpora, name) for name in settings.corpora],
        splits=settings.splits,
        clips_per_corpus=settings.clips_per_corpus,
    )
    texts = [oracle.hear(utterance.samples).text for utterance in utterances]
    errors = [
        edit_distance(utterance.words, text.split())
        for utterance, text in zip(utterances, texts, strict=True)
    ]
    for name in (None, *settings.corpora):
        chosen = [i for i, utterance in enumerate(utterances) if name in (None, utterance.corpus)]
        num_words = sum(len(utterances[i].words) for i in chosen)
        if num_words:
            key = "wer" if name is None else f"wer.{name}"
            measures[key] = sum(errors[i] for i in chosen) / num_words
    return measures, _worst(utterances, texts, errors)


def _chunk_tokens(network: Ear, recipe: EarPackRecipe, second_pass: bool) -> int:
    """The first of the recipe's chunk sizes that the network can hear: a stage may be of either pass."""
    sizes = list(recipe.chunk_tokens)
    if recipe.second_pass is not None:
        others = list(recipe.second_pass.chunk_tokens)
        sizes = [*others, *sizes] if second_pass else [*sizes, *others]
    return next((n for n in sizes if n % network.chunk_step_tokens == 0), sizes[0])


def _float(network: Ear, chunk_tokens: int) -> Oracle:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.onnx"
        export_onnx(network, chunk_tokens, path)
        graph = convert_onnx(path)
    return Oracle(graph, model=network)


def _packed(network: Ear, bundle: Path) -> Oracle:
    ear = read_manifest(bundle).ear
    assert ear is not None
    target = ear.targets[0]
    return Oracle(
        bundle / target.model,
        "bf16" if target.inference_precision == "bf16" else "f32",
        weights=None if target.weights is None else bundle / target.weights,
        model=network,
    )


def _worst(
    utterances: Sequence[Utterance], texts: Sequence[str], errors: Sequence[int]
) -> list[dict[str, Any]]:
    """Clips with the most errors a word; of equal ones the longer first."""
    order = sorted(
        (i for i, wrong in enumerate(errors) if wrong),
        key=lambda i: (-errors[i] / max(1, len(utterances[i].words)), -len(utterances[i].words), i),
    )
    found, log_mel = [], LogMel()
    for i in order[:_NUM_EXAMPLES]:
        samples = utterances[i].samples[: int(_MAX_EXAMPLE_S * 16_000)]
        with torch.no_grad():
            frames = log_mel(torch.from_numpy(samples)[None])[0].numpy()
        found.append(
            {
                "corpus": utterances[i].corpus,
                "reference": " ".join(utterances[i].words),
                "hypothesis": texts[i],
                "num_errors": errors[i],
                "picture": spectrogram(frames),
            }
        )
    return found
