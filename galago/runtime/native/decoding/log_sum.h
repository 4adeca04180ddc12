// Log-probabilities of the paths of a search: what counts as one, and ln(e^a + e^b), which adds
// two.
#ifndef GALAGO_NATIVE_DECODING_LOG_SUM_H_
#define GALAGO_NATIVE_DECODING_LOG_SUM_H_

#include <cmath>
#include <limits>
#include <utility>

namespace galago {

constexpr float kImpossible = -std::numeric_limits<float>::infinity();

// NaN, and what is no log-probability at all, count as a probability of 0.
inline float clean(float log_prob) { return log_prob < 1e3f ? log_prob : kImpossible; }

inline float log_sum(float a, float b) {
  if (a < b) std::swap(a, b);
  if (b == kImpossible) return a;
  const float difference = b - a;
  return difference < -18.0f ? a : a + std::log1p(std::exp(difference));
}

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_LOG_SUM_H_
