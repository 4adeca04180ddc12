"""A voice from recordings of one speaker: ``galago train`` with ``role = "voice"``.

recipe        what decides the weights
utterances    text and alignment -> phones with stress, marks, frames of each
voice_data    features of every clip, computed once and memory-mapped
batches       sentences for the acoustic network, short crops for the vocoder
acoustic      trains FastSpeech: mel, pitch, durations
vocoding      trains the vocoder: spectra at several resolutions, adversarial on request
teaching      trains the autoregressive teacher that FastSpeech is compared with, and may learn from
distillation  what FastSpeech learns from it
task          what the three have in common for the loop that trains them
"""
