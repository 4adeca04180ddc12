// Where utterances begin and end, from voice activity.
//
//   voice       ____[----------)___[-----)______________
//   utterance   __[--------------------------------)____
//                ^ padding          silence_ms ^
//
// An utterance begins padding_ms before its voice (never before the end of the last one, nor
// before the stream) and ends when silence_ms have passed since the voice and none is about to
// start, or when it has lasted max_utterance_ms; then, if the voice goes on, the next one begins at
// once.
//
// For each token t of the stream, in order:
//
//   const VoiceChange change = voice.advance(VoiceActivity::speech_probability(row[0]));
//   const UtteranceChange utterance = endpoint.advance(voice);
//   kBegin: decode the rows from begin_token() to t, which are at most max_preroll_tokens()
//   kEnd:   row t is the last one of this utterance
#ifndef GALAGO_NATIVE_EAR_ENDPOINT_H_
#define GALAGO_NATIVE_EAR_ENDPOINT_H_

#include <cstdint>

#include "ear/voice_activity.h"

namespace galago {

struct EndpointOptions {
  int token_ms = 40;
  int silence_ms = 600;          // rounded up to tokens, at least one
  int max_utterance_ms = 20000;  // at least 1000
  int padding_ms = 200;
};

enum class UtteranceChange { kNone, kBegin, kEnd };
enum class EndReason { kSilence, kMaxUtterance, kInput };

class Endpoint {
 public:
  // Throws Error (GALAGO_E_INVALID_ARGUMENT) naming the option that is out of range.
  explicit Endpoint(const EndpointOptions& options);

  // Outside of any utterance; nothing before `first_token` belongs to the next one.
  void reset(int64_t first_token);

  // After voice heard token t = voice.next_token() - 1.
  UtteranceChange advance(const VoiceActivity& voice);

  // The input is over: ends the utterance, if there is one, after the last token.
  UtteranceChange finish();

  // The token before which the running utterance ends if it stays silent, which may be one that was
  // not heard yet; -1 while nothing waits for silence.
  int64_t silence_deadline(const VoiceActivity& voice) const;
  // It stayed silent until silence_deadline(), as the caller knows otherwise: ends there.
  UtteranceChange finish_in_silence(const VoiceActivity& voice);

  bool in_utterance() const { return in_utterance_; }
  // Of the running utterance, or else of the last one.
  int64_t begin_token() const { return begin_token_; }
  int64_t end_token() const { return end_token_; }  // exclusive
  EndReason reason() const { return reason_; }

  int max_utterance_tokens() const { return max_utterance_tokens_; }
  // The most rows that kBegin may ask for, the current one included.
  int max_preroll_tokens(const VoiceActivity& voice) const {
    return voice.max_backtrack_tokens() + padding_tokens_ + 1;
  }

 private:
  UtteranceChange end_at(int64_t end_token, EndReason reason);

  int silence_tokens_;
  int max_utterance_tokens_;
  int padding_tokens_;

  bool in_utterance_ = false;
  EndReason reason_ = EndReason::kInput;
  int64_t next_token_ = 0;
  int64_t begin_token_ = 0;
  int64_t end_token_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_ENDPOINT_H_
