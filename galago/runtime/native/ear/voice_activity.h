// When somebody speaks: hysteresis over the speech probability of every token.
//
//   p(speech)  ____/~~~~~~~~~~~\__/~~~~~\_____________     start_probability: ~, stop: _
//   active          [------------------)                   start after start_ms of speech,
//                   ^ begin_token      ^ end_token         stop after stop_ms without
//
// A burst shorter than start_ms starts nothing; a pause shorter than stop_ms stops nothing. The
// answers do not depend on how the stream is cut into chunks: tokens come one by one.
#ifndef GALAGO_NATIVE_EAR_VOICE_ACTIVITY_H_
#define GALAGO_NATIVE_EAR_VOICE_ACTIVITY_H_

#include <cstdint>

namespace galago {

struct VoiceActivityOptions {
  int token_ms = 40;
  float start_probability = 0.6f;  // of speech, (0, 1]
  float stop_probability = 0.35f;  // [0, start_probability]
  int start_ms = 80;               // speech needed to start; rounded up to tokens, at least one
  int stop_ms = 200;               // lack of speech needed to stop; rounded up likewise
  int padding_ms = 200;            // begin_token may reach back this far over doubtful tokens
};

enum class VoiceChange { kNone, kStart, kStop };

class VoiceActivity {
 public:
  // Throws Error (GALAGO_E_INVALID_ARGUMENT) naming the option that is out of range.
  explicit VoiceActivity(const VoiceActivityOptions& options);

  // Silence, and the next token is the stream's `first_token`.
  void reset(int64_t first_token);

  // Hear one token: the probability of speech in it, that is 1 - p(SIL). NaN counts as 0.
  VoiceChange advance(float speech_probability);

  // 1 - exp(log_probability of SIL), in [0, 1].
  static float speech_probability(float silence_log_prob);

  bool active() const { return active_; }
  // Not active, but the last tokens were speech: it may be about to start.
  bool rising() const { return num_speech_ > 0; }
  int64_t next_token() const { return next_token_; }
  // Of the voice that is active, or else of the last one.
  int64_t begin_token() const { return begin_token_; }
  // One past the last token of speech heard so far: when kStop is told, where the voice ended.
  int64_t end_token() const { return end_token_; }

  const VoiceActivityOptions& options() const { return options_; }

  // begin_token is at least the token of kStart minus this: what a caller must remember.
  int max_backtrack_tokens() const { return start_tokens_ - 1 + padding_tokens_; }

 private:
  VoiceActivityOptions options_;
  int start_tokens_;
  int stop_tokens_;
  int padding_tokens_;

  int64_t next_token_ = 0;
  int64_t begin_token_ = 0;
  int64_t end_token_ = 0;
  int64_t rise_token_ = 0;  // first token of the run that is not below stop_probability
  int num_speech_ = 0;      // consecutive tokens of at least start_probability
  int num_silence_ = 0;     // consecutive tokens below stop_probability
  bool active_ = false;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_VOICE_ACTIVITY_H_
