// Wake phrases in an endless stream, on the phone head.
//
// At every row each phrase may begin anew, and what is not a phrase is explained by the free
// phone loop (phone_scorer.h). A phrase is scored by the mean over its phones of the mean ratio
// within the phone, so that a long vowel does not pay for a missing consonant:
//
//   rows     HH HH EY EY EY EY EY G  AA L        ratio of G: -6, of the others 0
//   score    (0 + 0 - 6 + 0 + 0) / 5 = -1.2      (not -6 / 10 = -0.6)
//
// A silence within the phrase adds its mean ratio to the sum and no phone to the count. The phrase
// ends where its score is best: it is told as soon as it has not grown for confirm_tokens rows.
#ifndef GALAGO_NATIVE_DECODING_PHRASE_SPOTTER_H_
#define GALAGO_NATIVE_DECODING_PHRASE_SPOTTER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "decoding/phone_automaton.h"

namespace galago {

struct PhraseSpotterOptions {
  std::vector<float> phone_log_priors;  // [num_phones]
  float prior_scale = 0.3f;             // [0, 1]
  float threshold = -1.0f;              // least score of a detection; < 0, nats
  int confirm_tokens = 3;               // [0, 100]
  int refractory_tokens = 25;  // after the end of a detection, where nothing begins; [0, 1000]
  int max_pause_tokens = 12;   // the longest silence within a phrase; [0, 1000]
  float beam_nats = 60.0f;     // hypotheses with a worse sum are dropped; > 0
};

struct SpottedPhrase {
  std::string_view phrase;  // NUL-terminated; lives as long as the automaton
  int64_t begin_token;
  int64_t end_token;  // exclusive
  float confidence;   // exp(score), [0, 1]
};

class PhraseSpotter {
 public:
  // Throws Error: GALAGO_E_INVALID_ARGUMENT if the automaton holds no phrases, has phones that the
  // priors lack, a phrase that a single phone or nothing at all would spell, or an option is
  // out of range.
  PhraseSpotter(std::shared_ptr<const PhoneAutomaton> automaton,
                const PhraseSpotterOptions& options);
  ~PhraseSpotter();
  PhraseSpotter(PhraseSpotter&&) noexcept;
  PhraseSpotter& operator=(PhraseSpotter&&) noexcept;

  // Forget what was heard (a gap, another stream); the next row is the stream's `first_token`.
  void reset(int64_t first_token);

  // Hear num_rows rows of num_phones log-probabilities, `stride` floats apart. Any number of
  // rows; for ever.
  void advance(const float* phone_log_probs, int num_rows, int stride);

  // Tell a phrase that is waiting for its confirmation: no more input comes.
  void finish();

  // What the last advance() or finish() detected, in order. No more than one a row, and no more
  // than kMaxDetections a call: advance by that many rows at most to miss none.
  static constexpr size_t kMaxDetections = 16;
  const SpottedPhrase* detections() const;
  size_t num_detections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_PHRASE_SPOTTER_H_
