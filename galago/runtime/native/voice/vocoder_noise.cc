#include "voice/vocoder_noise.h"

#include "base/vector_clones.h"

namespace galago {

GALAGO_VECTOR_CLONES
void fill_vocoder_noise(uint32_t seed, uint32_t position, size_t num_values, float* out) {
  for (size_t i = 0; i < num_values; ++i) {
    uint32_t x = (position + static_cast<uint32_t>(i)) * 0x9E3779B9u + seed;
    x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
    x = (x ^ (x >> 13)) * 0xC2B2AE35u;
    x ^= x >> 16;
    // By way of int32_t, which every vector unit converts; 24 bits are exact in a float.
    out[i] = static_cast<float>(static_cast<int32_t>(x >> 8)) * 0x1p-24f;
  }
}

}  // namespace galago
