"""The student and its teacher draw what one vocoder can say, and their times are compared as ratios."""

from __future__ import annotations

import pytest
import torch

from benchmarks.spoken_script import Script, SpokenWord, phones_of_segment
from benchmarks.torch_voices import Student, Teacher, vocode
from benchmarks.voice_teacher import CORE, FASTSPEECH, measure, summary
from galago.models.fastspeech import FASTSPEECH_PRESETS, FastSpeech
from galago.models.transformer_tts import TRANSFORMER_TTS_PRESETS, TransformerTts
from galago.models.vocoder import VOCODER_PRESETS, Vocoder

TEACHER = "its teacher, float, 1 frame a step"
SCRIPT = Script(((SpokenWord(0, ("HH", "AH0", "L", "OW1"), ","), SpokenWord(1, ("Y", "UW1"), ".")),))


@pytest.fixture(scope="module")
def voices() -> tuple[Student, Teacher, Vocoder]:
    torch.manual_seed(0)
    fastspeech = FastSpeech(FASTSPEECH_PRESETS["2m"]).eval()
    fastspeech.duration_predictor.out.bias.data.fill_(1.6)  # some four frames a phone
    fastspeech.decoder.mean[80] = 7.3
    small = TRANSFORMER_TTS_PRESETS["small"].with_(num_encoder_blocks=1, num_decoder_blocks=1)
    transformer = TransformerTts(small).eval()
    transformer.pitch_scale.copy_(torch.tensor([7.3, 0.2]))
    transformer.stop_head.weight.data.zero_()
    transformer.stop_head.bias.data.fill_(-1.0)
    return Student(fastspeech), Teacher(transformer), Vocoder(VOCODER_PRESETS["1m"]).eval()


def test_both_draw_for_one_vocoder(voices: tuple[Student, Teacher, Vocoder]) -> None:
    student, teacher, vocoder = voices
    phones = phones_of_segment(SCRIPT.segments[0])
    drawn = student.draw(phones)
    assert drawn.phone_of_frame == sorted(drawn.phone_of_frame) and drawn.has_stopped
    num_frames = len(drawn.phone_of_frame)
    assert drawn.log_mel.shape == (1, num_frames, 80)
    slow = teacher.draw(phones, num_frames)
    assert slow.log_mel.shape == drawn.log_mel.shape and not slow.has_stopped
    assert all(0 <= phone < len(phones) for phone in slow.phone_of_frame)
    assert torch.equal(teacher.draw(phones, num_frames).log_mel, slow.log_mel)  # its dropout is seeded
    for one in (drawn, slow):
        assert vocode(vocoder, one).shape == (num_frames * 160,)


def test_every_repeat_is_measured(voices: tuple[Student, Teacher, Vocoder]) -> None:
    student, teacher, vocoder = voices
    found = measure([SCRIPT], student, [teacher], vocoder, repeats=2)
    for name in (FASTSPEECH, TEACHER):
        assert len(found[name]["mel"]) == len(found[name]["sound"]) == 2
        pairs = zip(found[name]["mel"], found[name]["sound"], strict=True)
        assert all(0 <= mel <= sound for mel, sound in pairs)
    assert found[TEACHER]["stopped"] == [0.0, 0.0]


def test_ratios_are_of_medians() -> None:
    found = {
        FASTSPEECH: {"mel": [1.0, 2.0, 30.0], "sound": [4.0, 4.0, 5.0], "stopped": [1.0], "speech_s": [1.0]},
        TEACHER: {"mel": [100.0], "sound": [200.0], "stopped": [1.0, 0.0], "speech_s": [2.0, 2.0]},
        CORE: {"sound": [2.0], "mel": [0.5, 1.0, 4.0]},
    }
    numbers = summary(found)
    assert numbers[FASTSPEECH]["mel_ratio"] == 1.0 and numbers[TEACHER]["mel_ratio"] == 50.0
    assert numbers[TEACHER]["sound_ratio"] == 50.0 and numbers[TEACHER]["sound_ratio_core"] == 100.0
    assert numbers[TEACHER]["mel_ratio_core"] == 100.0
    assert numbers[TEACHER]["stopped_percent"] == 50.0 and numbers[TEACHER]["speech_s"] == 4.0
    assert numbers[CORE] == {"mel_ms": 1.0, "mel_ratio": 0.5, "sound_ms": 2.0, "sound_ratio": 0.5}
