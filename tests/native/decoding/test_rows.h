// Rows of log-probabilities for the decoders' tests.
#ifndef GALAGO_TESTS_NATIVE_DECODING_TEST_ROWS_H_
#define GALAGO_TESTS_NATIVE_DECODING_TEST_ROWS_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

// Rows where the given classes have probability `sure` each, in turn, and the others share the
// rest.
inline std::vector<float> rows_of(const std::vector<int>& classes, int num_classes,
                                  double sure = 0.95) {
  const float rest = static_cast<float>(std::log((1.0 - sure) / (num_classes - 1)));
  std::vector<float> rows(classes.size() * static_cast<size_t>(num_classes), rest);
  for (size_t i = 0; i < classes.size(); ++i)
    rows[i * static_cast<size_t>(num_classes) + static_cast<size_t>(classes[i])] =
        static_cast<float>(std::log(sure));
  return rows;
}

// The same, with a random walk of doubt about it. Rows are normalised.
inline std::vector<float> noisy_rows_of(const std::vector<int>& classes, int num_classes,
                                        double noise, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<float> rows;
  for (const int wanted : classes) {
    std::vector<double> logits(static_cast<size_t>(num_classes));
    for (double& logit : logits) logit = noise * normal(random);
    logits[static_cast<size_t>(wanted)] += 4.0;
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit);
    for (const double logit : logits) rows.push_back(static_cast<float>(logit - std::log(sum)));
  }
  return rows;
}

#endif  // GALAGO_TESTS_NATIVE_DECODING_TEST_ROWS_H_
