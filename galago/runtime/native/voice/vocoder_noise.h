// The noise that a voice's speaker breathes with: the same bits on every machine, from a counter.
//
// docs/bundles.md has the formula: a Weyl sequence through the finaliser of MurmurHash3 (Appleby
// 2011). Being a function of a position, it has no state to carry from chunk to chunk.
#ifndef GALAGO_NATIVE_VOICE_VOCODER_NOISE_H_
#define GALAGO_NATIVE_VOICE_VOCODER_NOISE_H_

#include <cstddef>
#include <cstdint>

namespace galago {

// Values `position` and those that follow it, uniform in [0, 1).
void fill_vocoder_noise(uint32_t seed, uint32_t position, size_t num_values, float* out);

}  // namespace galago

#endif  // GALAGO_NATIVE_VOICE_VOCODER_NOISE_H_
