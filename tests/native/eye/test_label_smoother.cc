// From logits to labels: probabilities, smoothing by time, the best five.
#include "eye/label_smoother.h"

#include <cmath>
#include <limits>

#include "check.h"

using namespace galago;

namespace {

constexpr int64_t kMs = 1'000'000;

LabelOptions smoothing(int half_life_ms) { return {1.0f, 0.0f, half_life_ms}; }

// Logits that are certain of one of three.
const float kFirst[] = {50, 0, 0};
const float kSecond[] = {0, 50, 0};

float probability_of(const LabelSmoother& smoother, size_t label) {
  for (size_t i = 0; i < smoother.num_top(); ++i) {
    if (smoother.top()[i].label == label) return smoother.top()[i].probability;
  }
  return -1;
}

}  // namespace

TEST(probabilities_are_the_softmax_of_logits_over_temperature) {
  const float logits[] = {1.0f, 3.0f, -2.0f};
  for (float temperature : {0.5f, 1.0f, 1.3f, 4.0f}) {
    LabelSmoother smoother(3, {temperature, 0.0f, 0});
    CHECK(smoother.advance(logits, 0));
    double sum = 0;
    for (float logit : logits) sum += std::exp(logit / temperature);
    CHECK_EQ(smoother.num_top(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      CHECK_NEAR(probability_of(smoother, i), std::exp(logits[i] / temperature) / sum, 1e-6);
    }
    CHECK_EQ(smoother.top()[0].label, 1u);
    CHECK_EQ(smoother.top()[2].label, 2u);
  }
}

TEST(large_logits_do_not_overflow) {
  const float logits[] = {3e38f, -3e38f, 0};
  LabelSmoother smoother(3, smoothing(0));
  CHECK(smoother.advance(logits, 0));
  CHECK_EQ(smoother.top()[0].probability, 1.0f);
}

TEST(after_a_half_life_an_old_image_weighs_half) {
  LabelSmoother smoother(3, smoothing(400));
  CHECK(smoother.advance(kFirst, 5'000 * kMs));
  CHECK_NEAR(probability_of(smoother, 0), 1.0, 1e-6);
  CHECK(smoother.advance(kSecond, 5'400 * kMs));
  CHECK_NEAR(probability_of(smoother, 0), 0.5, 1e-6);
  CHECK(smoother.advance(kSecond, 5'800 * kMs));
  CHECK_NEAR(probability_of(smoother, 0), 0.25, 1e-6);
}

TEST(how_often_the_camera_looks_does_not_change_what_time_does) {
  for (int num_images : {1, 7, 40}) {
    LabelSmoother smoother(3, smoothing(300));
    CHECK(smoother.advance(kFirst, 0));
    for (int i = 1; i <= num_images; ++i)
      CHECK(smoother.advance(kSecond, 600 * kMs * i / num_images));
    CHECK_NEAR(probability_of(smoother, 0), 0.25, 1e-4);
  }
}

TEST(a_gap_or_a_clock_that_goes_back_starts_anew) {
  for (int64_t elapsed_ns : {2'001 * kMs, int64_t{0}, -1 * kMs, int64_t{1} << 61}) {
    LabelSmoother smoother(3, smoothing(60'000));
    CHECK(smoother.advance(kFirst, 10'000 * kMs));
    CHECK(smoother.advance(kSecond, 10'000 * kMs + elapsed_ns));
    CHECK_NEAR(probability_of(smoother, 1), 1.0, 1e-6);
  }
  LabelSmoother smoother(3, smoothing(60'000));
  CHECK(smoother.advance(kFirst, 10'000 * kMs));
  CHECK(smoother.advance(kSecond, 12'000 * kMs));  // 2 s are no gap yet
  CHECK(probability_of(smoother, 1) < 0.1f);
  smoother.reset();
  CHECK(smoother.advance(kSecond, 12'100 * kMs));
  CHECK_NEAR(probability_of(smoother, 1), 1.0, 1e-6);
}

TEST(without_smoothing_every_image_stands_for_itself) {
  LabelSmoother smoother(3, smoothing(0));
  CHECK(smoother.advance(kFirst, 0));
  CHECK(smoother.advance(kSecond, 1));
  CHECK_NEAR(probability_of(smoother, 1), 1.0, 1e-6);
}

TEST(what_is_not_finite_is_refused_and_changes_nothing) {
  LabelSmoother smoother(3, smoothing(400));
  CHECK(smoother.advance(kFirst, 0));
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()}) {
    const float logits[] = {0, bad, 0};
    CHECK(!smoother.advance(logits, 100 * kMs));
    CHECK_NEAR(probability_of(smoother, 0), 1.0, 1e-6);
  }
}

TEST(the_best_five_of_many_come_best_first) {
  std::vector<float> logits(100);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>((i * 37) % logits.size()) * 0.1f;
  }
  LabelSmoother smoother(logits.size(), smoothing(0));
  CHECK(smoother.advance(logits.data(), 0));
  CHECK_EQ(smoother.num_top(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    CHECK_NEAR(logits[smoother.top()[i].label], 0.1 * static_cast<double>(99 - i), 1e-5);
  }
  LabelSmoother two(2, smoothing(0));
  CHECK(two.advance(kSecond, 0));
  CHECK_EQ(two.num_top(), 2u);
  CHECK_EQ(two.top()[0].label, 1u);
}

TEST(below_the_accepted_probability_nothing_is_known) {
  LabelSmoother smoother(3, {1.0f, 0.6f, 0});
  const float unsure[] = {1, 1, 1};
  CHECK(smoother.advance(unsure, 0));
  CHECK(!smoother.is_known());
  CHECK(smoother.advance(kFirst, 0));
  CHECK(smoother.is_known());
}
