// Percentiles of durations in fixed memory.
#include "role/metrics.h"

#include "check.h"

using namespace galago;

TEST(percentiles_are_within_a_sixteenth_of_the_truth) {
  DurationHistogram histogram;
  CHECK_EQ(histogram.percentile(0.5), -1);
  for (int64_t i = 1; i <= 1000; ++i) histogram.add(i * 10'000);  // 10 us to 10 ms
  CHECK_NEAR(static_cast<double>(histogram.percentile(0.50)), 5e6, 5e6 / 16);
  CHECK_NEAR(static_cast<double>(histogram.percentile(0.99)), 9.9e6, 9.9e6 / 16);
  CHECK(histogram.percentile(1.0) >= 10'000'000);
  histogram.reset();
  CHECK_EQ(histogram.percentile(0.5), -1);
}

TEST(durations_out_of_range_count_at_the_ends) {
  DurationHistogram histogram;
  histogram.add(-5);
  histogram.add(0);
  CHECK(histogram.percentile(1.0) <= 2000);
  histogram.add(int64_t{1} << 60);
  CHECK(histogram.percentile(1.0) > 60'000'000'000);
}

TEST(late_steps_are_those_longer_than_their_chunk) {
  SessionMetrics metrics;
  metrics.count_step(100, 80, 320);
  metrics.count_step(321, 300, 320);
  const galago_metrics told = metrics.get();
  CHECK_EQ(told.steps, 2u);
  CHECK_EQ(told.late_steps, 1u);
  CHECK_EQ(told.busy_ns, 421);
  CHECK_EQ(told.engine_ns, 380);
  CHECK_EQ(told.ttfa_ns, -1);
}
