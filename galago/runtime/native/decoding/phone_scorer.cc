#include "decoding/phone_scorer.h"

#include <cmath>
#include <cstddef>
#include <limits>

#include "base/status.h"

namespace galago {

PhoneScorer::PhoneScorer(const std::vector<float>& phone_log_priors, float prior_scale) {
  if (phone_log_priors.size() < 2 || phone_log_priors.size() > 256)
    fail(GALAGO_E_INVALID_ARGUMENT, "phone_log_priors: %zu phones, must be in [2, 256]",
         phone_log_priors.size());
  if (!(prior_scale >= 0 && prior_scale <= 1))
    fail(GALAGO_E_INVALID_ARGUMENT, "prior_scale is %g, must be in [0, 1]",
         static_cast<double>(prior_scale));
  for (size_t p = 0; p < phone_log_priors.size(); ++p) {
    if (!std::isfinite(phone_log_priors[p]))
      fail(GALAGO_E_INVALID_ARGUMENT, "phone_log_priors[%zu] is not finite", p);
    scaled_priors_.push_back(prior_scale * phone_log_priors[p]);
  }
}

int PhoneScorer::score(const float* log_probs, float* scores) const {
  constexpr float kNothing = -std::numeric_limits<float>::infinity();
  float best = kNothing;
  int filler = kSilencePhone;
  for (int p = 0; p < num_phones(); ++p) {
    scores[p] = log_probs[p] - scaled_priors_[static_cast<size_t>(p)];
    if (scores[p] > best && scores[p] < std::numeric_limits<float>::infinity()) {
      best = scores[p];
      filler = p;
    }
  }
  if (best == kNothing) {
    for (int p = 0; p < num_phones(); ++p) scores[p] = 0.0f;
    return kSilencePhone;
  }
  for (int p = 0; p < num_phones(); ++p) {
    const float score = scores[p] - best;
    scores[p] = score > kFloorNats ? score : kFloorNats;  // NaN is the floor too
    if (scores[p] > 0.0f) scores[p] = kFloorNats;         // +inf is no probability
  }
  return filler;
}

}  // namespace galago
