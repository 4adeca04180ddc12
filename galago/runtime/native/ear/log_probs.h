// Whether what an ear's network answers can be log-probabilities at all.
#ifndef GALAGO_NATIVE_EAR_LOG_PROBS_H_
#define GALAGO_NATIVE_EAR_LOG_PROBS_H_

#include <cstddef>

#include "ear/ear.h"
#include "engine/engine.h"

namespace galago {

// That rounding may lift above 0, but not further.
constexpr float kMaxLogProb = 0.1f;

inline bool are_log_probs(const float* values, size_t num_values) {
  // Counted, not returned at the first: this way it is straight vector code. NaN fails the test.
  size_t num_good = 0;
  for (size_t i = 0; i < num_values; ++i) num_good += values[i] <= kMaxLogProb ? 1 : 0;
  return num_good == num_values;
}

// What is wrong with the outputs of a step; nullptr: nothing.
inline const char* find_bad_log_probs(const EngineStream& stream, int num_rows, size_t num_phones,
                                      size_t num_tokens) {
  const auto rows = static_cast<size_t>(num_rows);
  const bool are_good =
      are_log_probs(stream.output(EarTarget::kPhoneLogProbs), rows * num_phones) &&
      are_log_probs(stream.output(EarTarget::kTokenLogProbs), rows * num_tokens);
  return are_good ? nullptr : "the engine's output is not log-probabilities (NaN?)";
}

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_LOG_PROBS_H_
