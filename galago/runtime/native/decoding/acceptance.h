// Whether the sentence that a grammar found is what was said: a logistic model over the evidence
// of both heads, fitted for a bundle (benchmarks/grammar_calibration.py).
//
//   P(right) = 1 / (1 + exp(-(bias + sum of weight * evidence)))
#ifndef GALAGO_NATIVE_DECODING_ACCEPTANCE_H_
#define GALAGO_NATIVE_DECODING_ACCEPTANCE_H_

#include <cmath>

namespace galago {

// In nats, each divided by the characters of the sentence, spaces between words included: a
// sentence that says little then needs no more than its share, however fast it was said.
struct AcceptanceEvidence {
  float phone_ratio = 0.0f;      // <= 0: the path against the free phone loop
  float character_ratio = 0.0f;  // <= 0: its spelling against any string of characters
  // >= 0: how far the likeliest characters themselves are from certain, while somebody speaks.
  // In noise both ratios rise, whatever was said, because nothing is ruled out any more.
  float character_doubt = 0.0f;
};

struct Acceptance {
  float bias = 0.0f;
  float phone_ratio = 0.0f;
  float character_ratio = 0.0f;
  float character_doubt = 0.0f;
  float threshold = 0.5f;  // the least probability that is accepted; [0, 1]

  // [0, 1]
  float probability(const AcceptanceEvidence& evidence) const {
    const float logit = bias + phone_ratio * evidence.phone_ratio +
                        character_ratio * evidence.character_ratio +
                        character_doubt * evidence.character_doubt;
    return 1.0f / (1.0f + std::exp(-logit));
  }
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_ACCEPTANCE_H_
