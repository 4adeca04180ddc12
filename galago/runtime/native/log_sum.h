// ln(e^a + e^b), for adding up the paths of a search.
#ifndef GALAGO_NATIVE_LOG_SUM_H_
#define GALAGO_NATIVE_LOG_SUM_H_

#include <cmath>
#include <limits>
#include <utility>

namespace galago {

inline float log_sum(float a, float b) {
  if (a < b) std::swap(a, b);
  if (b == -std::numeric_limits<float>::infinity()) return a;
  const float difference = b - a;
  return difference < -18.0f ? a : a + std::log1p(std::exp(difference));
}

}  // namespace galago

#endif  // GALAGO_NATIVE_LOG_SUM_H_
