#include "ear/second_pass.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/heap_bytes.h"
#include "base/status.h"
#include "ear/log_probs.h"
#include "role/metrics.h"

namespace galago {
namespace {

// What a last chunk of log-mel energies is filled up with: the silence that ended the utterance, to
// and fro. Frames of digital silence would be a sound that the network never hears behind a voice.
// One that hears raw samples was trained with zeros behind them.
constexpr int64_t kFillMs = 160;

int64_t fill_frames(const FeatureOptions& features) {
  return std::max<int64_t>(kFillMs * features.sample_rate_hz / (1000 * features.hop_samples), 1);
}

// Left to run are at most a chunk that is not complete yet and, behind it, the frames ahead.
size_t most_chunks_ahead(const EarTarget& target, int max_new_tokens) {
  return static_cast<size_t>(2 + (max_new_tokens + target.lookahead_tokens) / target.chunk_tokens);
}

}  // namespace

SecondPass::SecondPass(const Ear& ear, const OpenedSecondPass& opened, int max_new_tokens,
                       int max_backtrack_tokens, int max_utterance_tokens)
    : target_(opened.target),
      engine_(opened.engine),
      frame_width_(static_cast<size_t>(opened.network.features.values_per_frame())),
      num_phones_(ear.phones.size()),
      num_tokens_(ear.tokens.size()),
      subsampling_(opened.network.subsampling_factor),
      history_frames_((max_backtrack_tokens + kContextTokens) * subsampling_),
      joined_frames_(history_frames_ +
                     (opened.decoder != nullptr ? kMostJoinedTokens : 0) * subsampling_),
      fill_frames_(fill_frames(opened.network.features)),
      is_filled_with_zeros_(opened.network.features.type == FeatureOptions::Type::kRawSamples),
      most_chunks_ahead_(most_chunks_ahead(opened.target, max_new_tokens)),
      stream_(engine_->open_stream()),
      frames_(static_cast<size_t>(joined_frames_ +
                                  (max_utterance_tokens + 2 * max_new_tokens) * subsampling_) *
              frame_width_),
      phone_rows_(most_chunks_ahead_ * static_cast<size_t>(target_.chunk_tokens) * num_phones_),
      token_rows_(most_chunks_ahead_ * static_cast<size_t>(target_.chunk_tokens) * num_tokens_),
      encoder_rows_(most_chunks_ahead_ *
                    static_cast<size_t>(target_.chunk_rows * target_.row_width)) {}

void SecondPass::restart() {
  frames_begin_ = frames_end_ = 0;
  num_frames_ahead_ = 0;
  num_chunks_ahead_ = 0;
  utterance_begin_ = 0;
  in_utterance_ = has_filled_in_states_ = false;
  failure_ = nullptr;
}

void SecondPass::hear(const float* frames, int num_frames) {
  drop_frames_ahead();
  int64_t kept_begin = frames_end_ - history_frames_;
  if (in_utterance_ || frames_end_ - utterance_begin_ <= joined_frames_)
    kept_begin = std::min(kept_begin, utterance_begin_);
  if (kept_begin > frames_begin_) {
    std::memmove(frames_.data(), frame(kept_begin),
                 static_cast<size_t>(frames_end_ - kept_begin) * frame_width_ * sizeof(float));
    frames_begin_ = kept_begin;
  }
  append(frames, num_frames);
}

void SecondPass::append(const float* frames, int num_frames) {
  float* const end =
      frames_.data() + static_cast<size_t>(frames_end_ - frames_begin_) * frame_width_;
  std::memcpy(end, frames, static_cast<size_t>(num_frames) * frame_width_ * sizeof(float));
  frames_end_ += num_frames;
}

void SecondPass::drop_frames_ahead() {
  frames_end_ -= std::exchange(num_frames_ahead_, 0);
  if (std::exchange(num_chunks_ahead_, 0) > 0) has_filled_in_states_ = true;
}

void SecondPass::begin(int64_t token, int64_t last_end) {
  const int64_t oldest_token = (frames_begin_ + subsampling_ - 1) / subsampling_;
  const int64_t context_begin = std::max(token - kContextTokens, last_end);
  utterance_begin_ =
      std::max(std::min(context_begin, token - kLeastContextTokens), oldest_token) * subsampling_;
  go_on(token);
}

bool SecondPass::can_go_on(int64_t token) const {
  return utterance_begin_ >= frames_begin_ &&
         token * subsampling_ - utterance_begin_ <= kMostJoinedTokens * subsampling_;
}

void SecondPass::go_on(int64_t token) {
  in_utterance_ = true;
  first_token_ = rows_begin_ = rows_end_ = token;
  chunk_begin_ = utterance_begin_;
  has_filled_in_states_ = false;
}

bool SecondPass::look_ahead(const float* frames, int num_frames) {
  if (failure_ != nullptr || !in_utterance_) return false;
  append(frames, num_frames);
  num_frames_ahead_ = num_frames;
  const int64_t begin = chunk_begin_;
  while (num_chunks_ahead_ < most_chunks_ahead_ && run_next()) ++num_chunks_ahead_;
  chunk_begin_ = begin;  // until it is known whether it ends here
  rows_begin_ = std::max(held_begin_, first_token_);
  return failure_ == nullptr && num_chunks_ahead_ > 0;
}

bool SecondPass::advance(int64_t end_token, bool is_over) {
  if (failure_ != nullptr || !in_utterance_) return false;
  if (is_over && num_chunks_ahead_ > 0) {
    --num_chunks_ahead_;
    show_next();
    return true;
  }
  if (!is_over) {
    const int64_t chunk_end = chunk_begin_ + target_.chunk_frames;
    if (chunk_end > frames_end_ || chunk_end / subsampling_ - target_.lookahead_tokens > end_token)
      return false;
  }
  return run_next();
}

bool SecondPass::run_next() {
  const int64_t lookahead_frames = target_.lookahead_tokens * subsampling_;
  if (frames_end_ - chunk_begin_ + lookahead_frames <= 0) return false;
  if (std::exchange(has_filled_in_states_, false)) {
    for (int64_t begin = utterance_begin_; begin < chunk_begin_; begin += target_.chunk_frames) {
      if (!run_chunk(begin)) return false;
    }
  }
  if (!run_chunk(chunk_begin_)) return false;
  const auto hold = [this](size_t output, size_t num_values, std::vector<float>* rows) {
    std::copy_n(stream_->output(output), num_values, rows->data() + num_chunks_ahead_ * num_values);
  };
  const auto num_tokens = static_cast<size_t>(target_.chunk_tokens);
  hold(EarTarget::kPhoneLogProbs, num_tokens * num_phones_, &phone_rows_);
  hold(EarTarget::kTokenLogProbs, num_tokens * num_tokens_, &token_rows_);
  if (target_.chunk_rows > 0) {
    hold(EarTarget::kRows, static_cast<size_t>(target_.chunk_rows * target_.row_width),
         &encoder_rows_);
  }
  if (num_chunks_ahead_ == 0) held_begin_ = chunk_begin_ / subsampling_ - target_.lookahead_tokens;
  show_next();
  return true;
}

void SecondPass::show_next() {
  const int64_t first_row = chunk_begin_ / subsampling_ - target_.lookahead_tokens;
  shown_begin_ = first_row;
  rows_begin_ = std::max(first_row, first_token_);
  rows_end_ = std::max(first_row + target_.chunk_tokens, rows_begin_);
  chunk_begin_ += target_.chunk_frames;
}

bool SecondPass::run_chunk(int64_t begin) {
  const int64_t chunk_frames = target_.chunk_frames;
  float* const input = stream_->input(EarTarget::kFeatures);
  const int64_t num_copied = std::clamp<int64_t>(frames_end_ - begin, 0, chunk_frames);
  if (num_copied > 0) {
    std::memcpy(input, frame(begin),
                static_cast<size_t>(num_copied) * frame_width_ * sizeof(float));
  }
  fill_up(begin, num_copied);
  *stream_->input(EarTarget::kKeep) = begin == utterance_begin_ ? 0.0f : 1.0f;
  const int64_t engine_begin_ns = monotonic_ns();
  failure_ = stream_->run();
  engine_ns_ += monotonic_ns() - engine_begin_ns;
  if (failure_ == nullptr) {
    failure_ = find_bad_log_probs(*stream_, target_.chunk_tokens, num_phones_, num_tokens_);
  }
  return failure_ == nullptr;
}

void SecondPass::fill_up(int64_t begin, int64_t num_heard) {
  float* const input = stream_->input(EarTarget::kFeatures);
  const auto at = [&](int64_t i) { return input + static_cast<size_t>(i) * frame_width_; };
  if (is_filled_with_zeros_) return std::fill(at(num_heard), at(target_.chunk_frames), 0.0f);
  const int64_t num_fill = std::min(fill_frames_, frames_end_ - frames_begin_);
  for (int64_t i = num_heard; i < target_.chunk_frames; ++i) {
    const int64_t phase = (i - (frames_end_ - begin)) % (2 * num_fill);
    const int64_t back = phase < num_fill ? phase : 2 * num_fill - 1 - phase;
    std::memcpy(at(i), frame(frames_end_ - 1 - back), frame_width_ * sizeof(float));
  }
}

const float* SecondPass::phone_log_probs(int64_t token) const {
  return phone_rows_.data() + static_cast<size_t>(token - held_begin_) * num_phones_;
}

const float* SecondPass::token_log_probs(int64_t token) const {
  return token_rows_.data() + static_cast<size_t>(token - held_begin_) * num_tokens_;
}

const float* SecondPass::rows() const {
  const auto chunk = static_cast<size_t>((shown_begin_ - held_begin_) / target_.chunk_tokens);
  return encoder_rows_.data() + chunk * static_cast<size_t>(target_.chunk_rows * target_.row_width);
}

size_t SecondPass::num_rows(int64_t end_token) const {
  const int64_t num_tokens =
      std::clamp<int64_t>(end_token - shown_begin_, 0, int64_t{target_.chunk_tokens});
  return static_cast<size_t>((num_tokens * target_.chunk_rows + target_.chunk_tokens - 1) /
                             target_.chunk_tokens);
}

size_t SecondPass::num_rows_before(int64_t token) const {
  const int64_t num_tokens = std::max<int64_t>(token - utterance_begin_ / subsampling_, 0);
  return static_cast<size_t>(num_tokens * target_.chunk_rows / target_.chunk_tokens);
}

int64_t SecondPass::take_engine_ns() { return std::exchange(engine_ns_, 0); }

size_t SecondPass::num_bytes() const {
  return sizeof(*this) + stream_->num_bytes() +
         heap_bytes(frames_, phone_rows_, token_rows_, encoder_rows_);
}

}  // namespace galago
