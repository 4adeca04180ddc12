// Log-likelihood ratios of phones against a free phone loop, for one row of posteriors.
//
//   score[p] = (log P(p | row) - prior_scale * log P(p)) - max over q of the same
//
// The maximum is the free phone loop, the "filler" that explains any sound: every score is
// <= 0, a path's sum is its log-likelihood ratio against the filler, and sums of good paths
// stay near 0 however long the stream runs.
#ifndef GALAGO_NATIVE_DECODING_PHONE_SCORER_H_
#define GALAGO_NATIVE_DECODING_PHONE_SCORER_H_

#include <vector>

namespace galago {

constexpr int kSilencePhone = 0;  // also the CTC blank of the phone head

class PhoneScorer {
 public:
  // No score is below it, so that one impossible row does not make a path impossible for ever.
  static constexpr float kFloorNats = -20.0f;

  // phone_log_priors: one for each phone, finite; [2, 256] phones. prior_scale in [0, 1].
  // Throws Error (GALAGO_E_INVALID_ARGUMENT).
  PhoneScorer(const std::vector<float>& phone_log_priors, float prior_scale);

  // log_probs and scores: [num_phones]; NaN and -inf give kFloorNats. Returns the filler's
  // phone, the lowest index among equals. A row without any finite value says nothing: all
  // scores are 0 and the answer is kSilencePhone.
  int score(const float* log_probs, float* scores) const;

  int num_phones() const { return static_cast<int>(scaled_priors_.size()); }

 private:
  std::vector<float> scaled_priors_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_PHONE_SCORER_H_
