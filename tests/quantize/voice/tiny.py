"""A tiny voice with random weights: its networks, its exported graphs, a training run's folder of it."""

from __future__ import annotations

from pathlib import Path

import openvino as ov
import torch
from torch import nn

from galago.models.fastspeech import FastSpeech, FastSpeechConfig
from galago.models.g2p import G2p, G2pConfig
from galago.models.training.g2p_words import STRESSED_PHONES
from galago.models.vocoder import Vocoder, VocoderConfig
from galago.models.voice_graphs import FrameSpeaker, SentenceReader
from galago.quantize.compile_openvino import convert_onnx
from galago.quantize.voice.export import SpeakerShape, export_reader, export_speaker, speaker_shape

NUM_PHONES = (12, 24)
CHUNK_FRAMES = (6, 10)
ACOUSTIC = FastSpeechConfig(
    num_mels=16,
    width=16,
    num_blocks=1,
    feed_forward_width=24,
    kernel_phones=3,
    predictor_width=16,
    decoder_width=24,
    decoder_inner_width=40,
    decoder_kernel_frames=5,
    decoder_lookahead_frames=(2, 0),
)
VOCODER = VocoderConfig(width=16, inner_width=32, kernel_frames=5, lookahead_frames=(1,), num_mels=16)
DICTIONARY = "".join(
    f"{line}\n"
    for line in (
        "A  AH0", "APPLE  AE1 P AH0 L", "I  AY1", "RED  R EH1 D", "SEE  S IY1",
        *(f"{letter}.  {name}" for letter, name in zip("ABC", ("EY1", "B IY1", "S IY1"), strict=True)),
    )
)  # fmt: skip


def _roughened(model: nn.Module) -> None:
    """Norms and biases are random too, so that nothing is trivially 0 or 1."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def tiny_acoustic() -> FastSpeech:
    """Speaks at 180 Hz or so, some four frames a phone, and half voiced."""
    torch.manual_seed(3)
    model = FastSpeech(ACOUSTIC)
    _roughened(model)
    with torch.no_grad():
        model.embedding.weight[0] = 0.0
        model.duration_predictor.out.bias.fill_(1.6)
        model.decoder.mean.copy_(torch.tensor([-3.0] * 16 + [7.5, 0.0]))
        model.decoder.std.copy_(torch.tensor([1.0] * 16 + [0.2, 1.0]))
    return model.eval()


def tiny_vocoder() -> Vocoder:
    torch.manual_seed(4)
    model = Vocoder(VOCODER)
    _roughened(model)
    return model.eval()


def save_tiny_run(folder: Path) -> Path:
    """What training leaves: a folder for each network, and one of letters to phones; and the dictionary."""
    for name, model, config in (
        ("acoustic", tiny_acoustic(), ACOUSTIC.as_dict()),
        ("vocoder", tiny_vocoder(), VOCODER.as_dict()),
    ):
        (folder / name).mkdir(parents=True)
        state = {"network": name, "config": config, "model": model.state_dict(), "step": 5}
        torch.save(state, folder / name / "model.pt")
    (folder / "g2p").mkdir()
    shape = G2pConfig(
        len(STRESSED_PHONES), width=8, num_layers=1, num_heads=2, feed_forward=8, condition_after=()
    )
    torch.manual_seed(5)
    g2p = {
        "config": {**shape.as_dict(), "condition_after": []},
        "model": G2p(shape).state_dict(),
        "phones": list(STRESSED_PHONES),
        "step": 5,
    }
    torch.save(g2p, folder / "g2p" / "model.pt")
    (folder / "words.dict").write_text(DICTIONARY, encoding="utf-8")
    return folder


class Exports:
    """Float graphs by size, made when first asked for: exporting is what takes the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acoustic, self.vocoder = tiny_acoustic(), tiny_vocoder()
        self.reader = SentenceReader(self.acoustic).eval()
        self.speaker = FrameSpeaker(self.acoustic, self.vocoder).eval()
        self._graphs: dict[str, ov.Model] = {}

    def reader_graph(self, num_phones: int) -> ov.Model:
        name = f"reader-{num_phones}"
        if name not in self._graphs:
            export_reader(self.reader, num_phones, self.folder / f"{name}.onnx")
            self._graphs[name] = convert_onnx(self.folder / f"{name}.onnx")
        return self._graphs[name]

    def speaker_graph(self, chunk_frames: int) -> tuple[ov.Model, SpeakerShape]:
        name = f"speaker-{chunk_frames}"
        if name not in self._graphs:
            export_speaker(self.speaker, chunk_frames, self.folder / f"{name}.onnx")
            self._graphs[name] = convert_onnx(self.folder / f"{name}.onnx")
        return self._graphs[name], speaker_shape(self.speaker, chunk_frames)
