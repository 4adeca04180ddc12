#include "ear/endpoint.h"

#include <algorithm>

#include "base/status.h"

namespace galago {
namespace {

int tokens_of(int duration_ms, int token_ms) { return (duration_ms + token_ms - 1) / token_ms; }

void require(bool condition, const char* what) {
  if (!condition) fail(GALAGO_E_INVALID_ARGUMENT, "endpoint: %s", what);
}

}  // namespace

Endpoint::Endpoint(const EndpointOptions& options) {
  require(options.token_ms >= 1 && options.token_ms <= 1000, "token_ms must be in [1, 1000]");
  require(options.silence_ms >= 0 && options.silence_ms <= 60000,
          "silence_ms must be in [0, 60000]");
  require(options.max_utterance_ms >= 1000 && options.max_utterance_ms <= 600000,
          "max_utterance_ms must be in [1000, 600000]");
  require(options.padding_ms >= 0 && options.padding_ms <= 60000,
          "padding_ms must be in [0, 60000]");
  silence_tokens_ = std::max(1, tokens_of(options.silence_ms, options.token_ms));
  max_utterance_tokens_ = tokens_of(options.max_utterance_ms, options.token_ms);
  padding_tokens_ = tokens_of(options.padding_ms, options.token_ms);
}

void Endpoint::reset(int64_t first_token) {
  in_utterance_ = false;
  reason_ = EndReason::kInput;
  next_token_ = begin_token_ = end_token_ = first_token;
}

UtteranceChange Endpoint::advance(const VoiceActivity& voice) {
  next_token_ = voice.next_token();
  if (!in_utterance_) {
    if (!voice.active()) return UtteranceChange::kNone;
    // A voice that outlasts its utterance continues in the next one without a gap.
    begin_token_ = std::max(end_token_, voice.begin_token() - padding_tokens_);
    in_utterance_ = true;
    return UtteranceChange::kBegin;
  }
  const bool is_silent = !voice.active() && !voice.rising();
  if (is_silent && next_token_ - voice.end_token() >= silence_tokens_) {
    reason_ = EndReason::kSilence;
  } else if (next_token_ - begin_token_ >= max_utterance_tokens_) {
    reason_ = EndReason::kMaxUtterance;
  } else {
    return UtteranceChange::kNone;
  }
  end_token_ = next_token_;
  in_utterance_ = false;
  return UtteranceChange::kEnd;
}

int64_t Endpoint::silence_deadline(const VoiceActivity& voice) const {
  if (!in_utterance_ || voice.active() || voice.rising()) return -1;
  return voice.end_token() + silence_tokens_;
}

UtteranceChange Endpoint::finish_in_silence(const VoiceActivity& voice) {
  const int64_t end_token = silence_deadline(voice);
  return end_token < 0 ? UtteranceChange::kNone : end_at(end_token, EndReason::kSilence);
}

UtteranceChange Endpoint::finish() { return end_at(next_token_, EndReason::kInput); }

UtteranceChange Endpoint::end_at(int64_t end_token, EndReason reason) {
  if (!in_utterance_) return UtteranceChange::kNone;
  end_token_ = end_token;
  in_utterance_ = false;
  reason_ = reason;
  return UtteranceChange::kEnd;
}

}  // namespace galago
