#include "decoding/ctc_alignment.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/heap_bytes.h"
#include "base/status.h"

namespace galago {
namespace {

constexpr size_t kBlank = 0;
constexpr float kImpossible = -std::numeric_limits<float>::infinity();

size_t checked_rows(int max_rows) {
  if (max_rows < 1 || max_rows > 65536)
    fail(GALAGO_E_INVALID_ARGUMENT, "CTC alignment: max_rows is %d, must be in [1, 65536]",
         max_rows);
  return static_cast<size_t>(max_rows);
}

size_t checked_tokens(size_t num_tokens) {
  if (num_tokens < 2 || num_tokens > CtcAlignment::kMaxTokens)
    fail(GALAGO_E_INVALID_ARGUMENT, "CTC alignment: %zu tokens, must be in [2, %zu]", num_tokens,
         CtcAlignment::kMaxTokens);
  return num_tokens;
}

}  // namespace

CtcAlignment::CtcAlignment(const std::vector<std::string>& tokens, int max_rows)
    : num_tokens_(checked_tokens(tokens.size())),
      max_rows_(checked_rows(max_rows)),
      scorer_(std::vector<float>(num_tokens_, 0.0f), 0.0f),
      ratios_(max_rows_ * num_tokens_),
      peaks_(max_rows_),
      labels_(2 * max_rows_ + 1),
      scores_(2 * max_rows_ + 1) {
  token_of_byte_.fill(kNone);
  for (size_t i = 1; i < num_tokens_; ++i) {
    if (tokens[i].size() == 1)
      token_of_byte_[static_cast<unsigned char>(tokens[i][0])] = static_cast<int16_t>(i);
  }
  for (unsigned char upper = 'A'; upper <= 'Z'; ++upper) {
    if (token_of_byte_[upper] == kNone)
      token_of_byte_[upper] = token_of_byte_[static_cast<size_t>(upper - 'A' + 'a')];
  }
}

void CtcAlignment::advance(const float* token_log_probs, int num_rows, int stride) {
  for (int row = 0; row < num_rows && num_rows_ < max_rows_; ++row, ++num_rows_) {
    const float* log_probs = token_log_probs + static_cast<std::ptrdiff_t>(row) * stride;
    const int best = scorer_.score(log_probs, ratios_.data() + num_rows_ * num_tokens_);
    const float peak = log_probs[best];
    peaks_[num_rows_] = std::isfinite(peak) ? std::min(peak, 0.0f) : 0.0f;
  }
}

CtcAlignment::Fit CtcAlignment::align(std::string_view text) {
  const float worst = PhoneScorer::kFloorNats * static_cast<float>(num_rows_);
  size_t num_labels = 0;
  int num_characters = 0;
  labels_[num_labels++] = kBlank;
  for (const char c : text) {
    const int16_t token = token_of_byte_[static_cast<unsigned char>(c)];
    if (token == kNone) continue;
    ++num_characters;
    if (num_labels + 2 > labels_.size()) continue;  // too few rows in any case
    labels_[num_labels++] = static_cast<size_t>(token);
    labels_[num_labels++] = kBlank;
  }
  if (static_cast<size_t>(num_characters) > num_rows_) return {num_characters, worst};

  std::fill_n(scores_.begin(), num_labels, kImpossible);
  // Before the first row: as if a blank had just been heard.
  scores_[0] = 0.0f;
  for (size_t row = 0; row < num_rows_; ++row) {
    const float* ratios = ratios_.data() + row * num_tokens_;
    // Labels that can be reached by now, and that leave rows enough for those behind them.
    const size_t rows_left = num_rows_ - row - 1;
    const size_t last = std::min(num_labels - 1, 2 * row + 1);
    const size_t first = num_labels > 2 * rows_left + 2 ? num_labels - 2 * rows_left - 2 : 0;
    for (size_t i = last + 1; i-- > first;) {  // downwards: those before still are of the last row
      float score = scores_[i];
      if (i >= 1) score = std::max(score, scores_[i - 1]);
      if (i >= 2 && labels_[i] != kBlank && labels_[i] != labels_[i - 2])
        score = std::max(score, scores_[i - 2]);
      scores_[i] = score + ratios[labels_[i]];
    }
  }
  float best = scores_[num_labels - 1];
  if (num_labels >= 2) best = std::max(best, scores_[num_labels - 2]);
  return {num_characters, std::max(best, worst)};
}

size_t CtcAlignment::num_bytes() const { return heap_bytes(ratios_, peaks_, labels_, scores_); }

}  // namespace galago
