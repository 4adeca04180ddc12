#include "decoding/group_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/heap_bytes.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define GALAGO_X86_KERNELS 1
#include <immintrin.h>
// GCC 12 warns of what its own intrinsics leave undefined on purpose.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace galago {
namespace {

constexpr size_t kOutputs = GroupMatrix::kBlockOutputs;
constexpr size_t kScaleBytes = 2 * kOutputs;
constexpr size_t kLineBytes = 64;
constexpr size_t kLines = 4;
constexpr size_t kGroupBytes = kScaleBytes + kLines * kLineBytes;
constexpr int32_t kOffset = 8;  // of a weight in its half byte

float from_bfloat16(const uint8_t* bytes) {
  const uint32_t bits = (static_cast<uint32_t>(bytes[0]) | static_cast<uint32_t>(bytes[1]) << 8)
                        << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

using Kernel = void (*)(const uint8_t* block, size_t num_groups, const GroupVector& vector,
                        float* products);

void portable_block(const uint8_t* block, size_t num_groups, const GroupVector& vector,
                    float* products) {
  float sums[kOutputs] = {};
  for (size_t group = 0; group < num_groups; ++group, block += kGroupBytes) {
    int32_t products_of_group[kOutputs];
    for (int32_t& product : products_of_group) product = -kOffset * vector.sums()[group];
    const int8_t* const x = vector.integers() + group * kGroupInputs;
    for (size_t line = 0; line < kLines; ++line) {
      const uint8_t* const weights = block + kScaleBytes + line * kLineBytes;
      for (size_t o = 0; o < kOutputs; ++o) {
        for (size_t k = 0; k < 4; ++k) {
          const int32_t pair = weights[4 * o + k];
          products_of_group[o] += (pair & 15) * x[8 * line + k];
          products_of_group[o] += (pair >> 4) * x[8 * line + 4 + k];
        }
      }
    }
    const float scale = vector.scales()[group];
    for (size_t o = 0; o < kOutputs; ++o) {
      sums[o] += static_cast<float>(products_of_group[o]) * (from_bfloat16(block + 2 * o) * scale);
    }
  }
  std::copy_n(sums, kOutputs, products);
}

#ifdef GALAGO_X86_KERNELS

int32_t four_integers(const int8_t* x) {
  int32_t four;
  std::memcpy(&four, x, sizeof four);
  return four;
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) void vnni_block(
    const uint8_t* block, size_t num_groups, const GroupVector& vector, float* products) {
  const __m512i low_halves = _mm512_set1_epi8(15);
  __m512 sums = _mm512_setzero_ps();
  for (size_t group = 0; group < num_groups; ++group, block += kGroupBytes) {
    const int8_t* const x = vector.integers() + group * kGroupInputs;
    __m512i low = _mm512_set1_epi32(-kOffset * vector.sums()[group]);
    __m512i high = _mm512_setzero_si512();
    for (size_t line = 0; line < kLines; ++line) {
      const __m512i pairs = _mm512_loadu_si512(block + kScaleBytes + line * kLineBytes);
      low = _mm512_dpbusd_epi32(low, _mm512_and_si512(pairs, low_halves),
                                _mm512_set1_epi32(four_integers(x + 8 * line)));
      high = _mm512_dpbusd_epi32(high, _mm512_and_si512(_mm512_srli_epi16(pairs, 4), low_halves),
                                 _mm512_set1_epi32(four_integers(x + 8 * line + 4)));
    }
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block));
    const __m512 scales = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
    const __m512 scaled = _mm512_mul_ps(scales, _mm512_set1_ps(vector.scales()[group]));
    sums = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(low, high)), scaled, sums);
  }
  _mm512_storeu_ps(products, sums);
}

__attribute__((target("avx2,fma"))) void avx2_block(const uint8_t* block, size_t num_groups,
                                                    const GroupVector& vector, float* products) {
  const __m256i low_halves = _mm256_set1_epi8(15);
  const __m256i ones = _mm256_set1_epi16(1);
  __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (size_t group = 0; group < num_groups; ++group, block += kGroupBytes) {
    const int8_t* const x = vector.integers() + group * kGroupInputs;
    // Two products of at most 15 * 127 are added up in 16 bits, and those of all lines: 30,480.
    __m256i found[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t line = 0; line < kLines; ++line) {
      const __m256i first = _mm256_set1_epi32(four_integers(x + 8 * line));
      const __m256i second = _mm256_set1_epi32(four_integers(x + 8 * line + 4));
      for (size_t half = 0; half < 2; ++half) {
        const uint8_t* const at = block + kScaleBytes + line * kLineBytes + half * kLineBytes / 2;
        const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(pairs, 4), low_halves);
        found[half] = _mm256_add_epi16(
            found[half],
            _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_and_si256(pairs, low_halves), first),
                             _mm256_maddubs_epi16(high, second)));
      }
    }
    const __m256i offset = _mm256_set1_epi32(-kOffset * vector.sums()[group]);
    const __m256 scale = _mm256_set1_ps(vector.scales()[group]);
    for (size_t half = 0; half < 2; ++half) {
      const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + half);
      const __m256 scales =
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
      const __m256i integers = _mm256_add_epi32(_mm256_madd_epi16(found[half], ones), offset);
      sums[half] =
          _mm256_fmadd_ps(_mm256_cvtepi32_ps(integers), _mm256_mul_ps(scales, scale), sums[half]);
    }
  }
  _mm256_storeu_ps(products, sums[0]);
  _mm256_storeu_ps(products + 8, sums[1]);
}

#endif  // GALAGO_X86_KERNELS

struct Chosen {
  Kernel block;
  const char* name;
};

Chosen choose_kernel() {
#ifdef GALAGO_X86_KERNELS
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    return {vnni_block, "avx512-vnni"};
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {avx2_block, "avx2"};
#endif
  return {portable_block, "portable"};
}

const Chosen& chosen() {
  static const Chosen kernel = choose_kernel();
  return kernel;
}

void multiply_by(Kernel kernel, const uint8_t* bytes, size_t num_outputs, size_t num_inputs,
                 const GroupVector& vector, float* products) {
  const size_t num_groups = num_inputs / kGroupInputs;
  for (size_t first = 0; first < num_outputs; first += kOutputs) {
    kernel(bytes, num_groups, vector, products + first);
    bytes += num_groups * kGroupBytes;
  }
}

}  // namespace

void GroupVector::assign(const float* values, size_t num_values) {
  for (size_t group = 0; group < num_values / kGroupInputs; ++group) {
    const float* const x = values + group * kGroupInputs;
    int8_t* const integers = integers_.data() + group * kGroupInputs;
    float largest = 0.0f;
    for (size_t i = 0; i < kGroupInputs; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float scale = std::isfinite(largest) ? largest / 127.0f : 0.0f;
    const float inverse = scale > 1e-30f ? 1.0f / scale : 0.0f;
    int32_t sum = 0;
    for (size_t i = 0; i < kGroupInputs; ++i) {
      const float rounded = std::nearbyintf(x[i] * inverse);
      integers[i] = std::fabs(rounded) <= 127.0f ? static_cast<int8_t>(rounded) : int8_t{0};
      sum += integers[i];
    }
    scales_[group] = scale;
    sums_[group] = sum;
  }
}

size_t GroupVector::num_bytes() const { return heap_bytes(integers_, scales_, sums_); }

void GroupMatrix::multiply(const GroupVector& vector, float* products) const {
  multiply_by(chosen().block, bytes_, num_outputs_, num_inputs_, vector, products);
}

void GroupMatrix::multiply_portably(const GroupVector& vector, float* products) const {
  multiply_by(portable_block, bytes_, num_outputs_, num_inputs_, vector, products);
}

void GroupMatrix::row(size_t output, float* weights) const {
  const size_t num_groups = num_inputs_ / kGroupInputs;
  const uint8_t* group = bytes_ + output / kOutputs * num_groups * kGroupBytes;
  const size_t o = output % kOutputs;
  for (size_t first = 0; first < num_inputs_; first += kGroupInputs, group += kGroupBytes) {
    const float scale = from_bfloat16(group + 2 * o);
    for (size_t i = 0; i < kGroupInputs; ++i) {
      const int pair = group[kScaleBytes + i / 8 * kLineBytes + 4 * o + i % 4];
      const int weight = (i % 8 < 4 ? pair & 15 : pair >> 4) - kOffset;
      weights[first + i] = static_cast<float>(weight) * scale;
    }
  }
}

bool GroupMatrix::is_finite() const {
  const size_t num_groups = num_outputs_ / kOutputs * (num_inputs_ / kGroupInputs);
  for (size_t group = 0; group < num_groups; ++group) {
    for (size_t o = 0; o < kOutputs; ++o) {
      if (!std::isfinite(from_bfloat16(bytes_ + group * kGroupBytes + 2 * o))) return false;
    }
  }
  return true;
}

const char* GroupMatrix::kernel() { return chosen().name; }

}  // namespace galago
