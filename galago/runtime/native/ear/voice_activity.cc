#include "ear/voice_activity.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"

namespace galago {
namespace {

int tokens_of(int duration_ms, int token_ms) { return (duration_ms + token_ms - 1) / token_ms; }

bool is_duration(int duration_ms) { return duration_ms >= 0 && duration_ms <= 60000; }

void require(bool condition, const char* what) {
  if (!condition) fail(GALAGO_E_INVALID_ARGUMENT, "voice activity: %s", what);
}

}  // namespace

VoiceActivity::VoiceActivity(const VoiceActivityOptions& options) : options_(options) {
  require(options.token_ms >= 1 && options.token_ms <= 1000, "token_ms must be in [1, 1000]");
  require(options.start_probability > 0 && options.start_probability <= 1,
          "start_probability must be in (0, 1]");
  require(options.stop_probability >= 0 && options.stop_probability <= options.start_probability,
          "stop_probability must be in [0, start_probability]");
  require(is_duration(options.start_ms), "start_ms must be in [0, 60000]");
  require(is_duration(options.stop_ms), "stop_ms must be in [0, 60000]");
  require(is_duration(options.padding_ms), "padding_ms must be in [0, 60000]");
  start_tokens_ = std::max(1, tokens_of(options.start_ms, options.token_ms));
  stop_tokens_ = std::max(1, tokens_of(options.stop_ms, options.token_ms));
  padding_tokens_ = tokens_of(options.padding_ms, options.token_ms);
}

void VoiceActivity::reset(int64_t first_token) {
  next_token_ = begin_token_ = end_token_ = rise_token_ = first_token;
  num_speech_ = num_silence_ = 0;
  active_ = false;
}

float VoiceActivity::speech_probability(float silence_log_prob) {
  const float probability = 1.0f - std::exp(silence_log_prob);
  return probability > 0.0f ? probability : 0.0f;  // NaN counts as 0 too
}

VoiceChange VoiceActivity::advance(float speech_probability) {
  const int64_t token = next_token_++;
  if (!(speech_probability >= options_.stop_probability)) {  // NaN is silence
    num_speech_ = 0;
    rise_token_ = token + 1;
    if (active_ && ++num_silence_ >= stop_tokens_) {
      active_ = false;
      num_silence_ = 0;
      return VoiceChange::kStop;
    }
    return VoiceChange::kNone;
  }
  num_silence_ = 0;
  if (active_) {
    end_token_ = token + 1;
    return VoiceChange::kNone;
  }
  num_speech_ = speech_probability >= options_.start_probability ? num_speech_ + 1 : 0;
  if (num_speech_ < start_tokens_) return VoiceChange::kNone;
  // The doubtful tokens just before belong to the voice, as far as the padding reaches.
  const int64_t first_sure_token = token + 1 - start_tokens_;
  begin_token_ = std::max(rise_token_, first_sure_token - padding_tokens_);
  end_token_ = token + 1;
  num_speech_ = 0;
  active_ = true;
  return VoiceChange::kStart;
}

}  // namespace galago
