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

CtcAlignment::CtcAlignment(const std::vector<std::string>& tokens, int max_rows, bool has_places)
    : num_tokens_(checked_tokens(tokens.size())),
      max_rows_(checked_rows(max_rows)),
      scorer_(std::vector<float>(num_tokens_, 0.0f), 0.0f),
      ratios_(max_rows_ * num_tokens_),
      peaks_(max_rows_),
      best_(max_rows_),
      labels_(2 * max_rows_ + 1),
      scores_(2 * max_rows_ + 1) {
  if (has_places) {
    steps_.resize((max_rows_ * (2 * max_rows_ + 1) + 3) / 4);
    byte_of_label_.resize(2 * max_rows_ + 1);
    place_of_label_.resize(2 * max_rows_ + 1);
  }
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
    best_[num_rows_] = static_cast<uint8_t>(best);
    const float peak = log_probs[best];
    peaks_[num_rows_] = std::isfinite(peak) ? std::min(peak, 0.0f) : 0.0f;
  }
}

CtcAlignment::Fit CtcAlignment::align(std::string_view text) {
  const float worst = PhoneScorer::kFloorNats * static_cast<float>(num_rows_);
  size_t num_labels = 0;
  int num_characters = 0;
  labels_[num_labels++] = kBlank;
  for (size_t at = 0; at < text.size(); ++at) {
    const int16_t token = token_of_byte_[static_cast<unsigned char>(text[at])];
    if (token == kNone) continue;
    ++num_characters;
    if (num_labels + 2 > labels_.size()) continue;  // too few rows in any case
    if (!byte_of_label_.empty()) byte_of_label_[num_labels] = static_cast<uint32_t>(at);
    labels_[num_labels++] = static_cast<size_t>(token);
    labels_[num_labels++] = kBlank;
  }
  num_labels_ = num_labels;
  const bool has_places = !steps_.empty();
  if (static_cast<size_t>(num_characters) > num_rows_) {
    if (has_places) spread_places();
    return {num_characters, worst};
  }
  if (has_places) std::fill_n(steps_.begin(), (num_rows_ * num_labels + 3) / 4, uint8_t{0});

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
      size_t step = 0;
      if (i >= 1 && scores_[i - 1] > score) score = scores_[i - 1], step = 1;
      if (i >= 2 && labels_[i] != kBlank && labels_[i] != labels_[i - 2] && scores_[i - 2] > score)
        score = scores_[i - 2], step = 2;
      scores_[i] = score + ratios[labels_[i]];
      if (has_places && step != 0) {
        const size_t at = row * num_labels + i;
        steps_[at / 4] = static_cast<uint8_t>(steps_[at / 4] | step << (2 * (at % 4)));
      }
    }
  }
  float best = scores_[num_labels - 1];
  bool ends_in_blank = true;
  if (num_labels >= 2 && scores_[num_labels - 2] > best) {
    best = scores_[num_labels - 2];
    ends_in_blank = false;
  }
  if (has_places && std::isfinite(best)) find_places(ends_in_blank);
  if (has_places && !std::isfinite(best)) spread_places();
  return {num_characters, std::max(best, worst)};
}

void CtcAlignment::find_places(bool ends_in_blank) {
  std::fill_n(place_of_label_.begin(), num_labels_, Place{0, 0});
  size_t label = num_labels_ - (ends_in_blank ? 1 : 2);
  for (size_t row = num_rows_; row-- > 0;) {
    Place& place = place_of_label_[label];
    if (place.end_row == 0) place.end_row = static_cast<int>(row) + 1;
    place.begin_row = static_cast<int>(row);
    const size_t at = row * num_labels_ + label;
    label -= steps_[at / 4] >> (2 * (at % 4)) & 3;
  }
}

void CtcAlignment::spread_places() {
  const auto row_of = [this](size_t label) {
    return static_cast<int>(num_rows_ * label / num_labels_);
  };
  for (size_t i = 0; i < num_labels_; ++i) place_of_label_[i] = {row_of(i), row_of(i + 1)};
}

CtcAlignment::Place CtcAlignment::place(size_t begin, size_t num_bytes) const {
  Place found{0, 0};
  for (size_t i = 1; i < num_labels_; i += 2) {
    if (byte_of_label_[i] < begin || byte_of_label_[i] >= begin + num_bytes) continue;
    const Place& place = place_of_label_[i];
    if (place.end_row == 0) continue;
    if (found.end_row == 0) found.begin_row = place.begin_row;
    found.end_row = place.end_row;
  }
  return found;
}

int CtcAlignment::num_heard(int begin_row, int end_row) const {
  const int16_t space = token_of_byte_[' '];
  int num_characters = 0;
  for (int row = begin_row; row < end_row; ++row) {
    const uint8_t token = best_[static_cast<size_t>(row)];
    if (token == kBlank || token == space) continue;
    num_characters += row == begin_row || best_[static_cast<size_t>(row) - 1] != token;
  }
  return num_characters;
}

bool CtcAlignment::is_blank() const {
  const auto end = best_.begin() + static_cast<std::ptrdiff_t>(num_rows_);
  return std::all_of(best_.begin(), end, [](uint8_t token) { return token == kBlank; });
}

size_t CtcAlignment::num_bytes() const {
  return heap_bytes(ratios_, peaks_, best_, labels_, scores_, steps_, byte_of_label_,
                    place_of_label_);
}

}  // namespace galago
