#include "eye/label_smoother.h"

#include <algorithm>
#include <cmath>

namespace galago {

LabelSmoother::LabelSmoother(size_t num_labels, const LabelOptions& options)
    : options_(options),
      fresh_(num_labels),
      smoothed_(num_labels),
      num_top_(std::min(num_labels, kMaxTop)) {}

void LabelSmoother::reset() { has_begun_ = false; }

bool LabelSmoother::advance(const float* logits, int64_t capture_ns) {
  const size_t num_labels = smoothed_.size();
  float largest = logits[0];
  for (size_t i = 0; i < num_labels; ++i) {
    if (!std::isfinite(logits[i])) return false;
    largest = std::max(largest, logits[i]);
  }
  float sum = 0;
  for (size_t i = 0; i < num_labels; ++i) {
    fresh_[i] = std::exp((logits[i] - largest) / options_.temperature);
    sum += fresh_[i];
  }

  const int64_t elapsed_ns = capture_ns - last_ns_;
  float weight = 1.0f;  // of the new image
  if (has_begun_ && options_.smoothing_half_life_ms > 0 && elapsed_ns > 0 && elapsed_ns <= kGapNs) {
    const double half_life_ns = options_.smoothing_half_life_ms * 1e6;
    weight = static_cast<float>(1.0 - std::exp2(-static_cast<double>(elapsed_ns) / half_life_ns));
  }
  for (size_t i = 0; i < num_labels; ++i) {
    const float before = weight < 1.0f ? smoothed_[i] : 0.0f;
    smoothed_[i] = before + weight * (fresh_[i] / sum - before);
  }
  has_begun_ = true;
  last_ns_ = capture_ns;

  size_t num_kept = 0;
  for (size_t i = 0; i < num_labels; ++i) {
    size_t at = num_kept;
    while (at > 0 && top_[at - 1].probability < smoothed_[i]) --at;
    if (at == num_top_) continue;
    num_kept = std::min(num_kept + 1, num_top_);
    std::copy_backward(top_.begin() + static_cast<ptrdiff_t>(at),
                       top_.begin() + static_cast<ptrdiff_t>(num_kept) - 1,
                       top_.begin() + static_cast<ptrdiff_t>(num_kept));
    top_[at] = {i, smoothed_[i]};
  }
  return true;
}

}  // namespace galago
