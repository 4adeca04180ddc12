// When a voice starts and stops.
#include <cmath>
#include <limits>
#include <vector>

#include "check.h"
#include "ear/voice_activity.h"

namespace {

using galago::VoiceActivity;
using galago::VoiceActivityOptions;
using galago::VoiceChange;

struct Change {
  VoiceChange change;
  int64_t told_at;  // token
  int64_t begin_token;
  int64_t end_token;
};

std::vector<Change> hear(VoiceActivity* voice, const std::vector<float>& probabilities) {
  std::vector<Change> changes;
  for (const float probability : probabilities) {
    const VoiceChange change = voice->advance(probability);
    if (change != VoiceChange::kNone)
      changes.push_back(
          {change, voice->next_token() - 1, voice->begin_token(), voice->end_token()});
  }
  return changes;
}

std::vector<float> parts(const std::vector<std::pair<int, float>>& runs) {
  std::vector<float> probabilities;
  for (const auto& [num_tokens, probability] : runs)
    probabilities.insert(probabilities.end(), static_cast<size_t>(num_tokens), probability);
  return probabilities;
}

TEST(speech_starts_and_stops_it_with_the_times_of_the_speech) {
  VoiceActivity voice({});  // 2 tokens to start, 5 to stop
  const std::vector<Change> changes = hear(&voice, parts({{10, 0.05f}, {8, 0.95f}, {10, 0.05f}}));
  CHECK_EQ(changes.size(), 2u);
  CHECK(changes[0].change == VoiceChange::kStart);
  CHECK_EQ(changes[0].told_at, 11);
  CHECK_EQ(changes[0].begin_token, 10);
  CHECK(changes[1].change == VoiceChange::kStop);
  CHECK_EQ(changes[1].told_at, 22);
  CHECK_EQ(changes[1].begin_token, 10);
  CHECK_EQ(changes[1].end_token, 18);
  CHECK(!voice.active());
}

TEST(a_burst_of_one_token_starts_nothing) {
  VoiceActivity voice({});
  for (int i = 0; i < 50; ++i) CHECK(hear(&voice, parts({{1, 1.0f}, {3, 0.1f}})).empty());
}

TEST(a_pause_shorter_than_stop_ms_stops_nothing) {
  VoiceActivity voice({});
  const std::vector<Change> changes =
      hear(&voice, parts({{5, 0.9f}, {4, 0.1f}, {5, 0.9f}, {4, 0.1f}, {1, 0.9f}}));
  CHECK_EQ(changes.size(), 1u);
  CHECK(voice.active());
  CHECK_EQ(voice.end_token(), 19);
}

TEST(between_the_two_probabilities_it_stays_as_it_is) {
  VoiceActivity voice({});
  CHECK(hear(&voice, parts({{100, 0.5f}})).empty());
  CHECK_EQ(hear(&voice, parts({{2, 0.9f}, {100, 0.5f}})).size(), 1u);
  CHECK(voice.active());
}

TEST(doubtful_tokens_before_the_voice_belong_to_it_as_far_as_the_padding) {
  VoiceActivity voice({});  // 5 tokens of padding
  CHECK_EQ(hear(&voice, parts({{10, 0.1f}, {3, 0.5f}, {2, 0.9f}})).size(), 1u);
  CHECK_EQ(voice.begin_token(), 10);
  voice.reset(1000);
  CHECK_EQ(hear(&voice, parts({{50, 0.5f}, {2, 0.9f}})).size(), 1u);
  CHECK_EQ(voice.begin_token(), 1045);
  CHECK(voice.next_token() - 1 - voice.begin_token() <= voice.max_backtrack_tokens());
}

TEST(times_count_from_the_first_token_of_reset) {
  VoiceActivity voice({});
  const int64_t far = int64_t{1} << 40;
  hear(&voice, parts({{20, 0.9f}}));
  voice.reset(far);
  CHECK(!voice.active());
  const std::vector<Change> changes = hear(&voice, parts({{3, 0.0f}, {2, 1.0f}}));
  CHECK_EQ(changes.size(), 1u);
  CHECK_EQ(changes[0].begin_token, far + 3);
}

TEST(nan_is_silence) {
  VoiceActivity voice({});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(hear(&voice, parts({{1, 0.9f}, {1, nan}, {1, 0.9f}, {20, nan}})).empty());
  CHECK_EQ(VoiceActivity::speech_probability(nan), 0.0f);
  CHECK_EQ(VoiceActivity::speech_probability(-std::numeric_limits<float>::infinity()), 1.0f);
  CHECK_EQ(VoiceActivity::speech_probability(0.0f), 0.0f);
  CHECK_EQ(VoiceActivity::speech_probability(0.1f), 0.0f);  // more than certain: rounding
  CHECK_NEAR(VoiceActivity::speech_probability(std::log(0.25f)), 0.75, 1e-6);
}

TEST(options_out_of_range_are_named) {
  VoiceActivityOptions options;
  options.start_probability = 0;
  CHECK_THROWS(VoiceActivity{options}, "start_probability");
  options = {};
  options.stop_probability = 0.7f;
  CHECK_THROWS(VoiceActivity{options}, "stop_probability");
  options = {};
  options.stop_probability = NAN;
  CHECK_THROWS(VoiceActivity{options}, "stop_probability");
  options = {};
  options.start_ms = -1;
  CHECK_THROWS(VoiceActivity{options}, "start_ms");
  options = {};
  options.stop_ms = 100000;
  CHECK_THROWS(VoiceActivity{options}, "stop_ms");
  options = {};
  options.padding_ms = -5;
  CHECK_THROWS(VoiceActivity{options}, "padding_ms");
  options = {};
  options.token_ms = 0;
  CHECK_THROWS(VoiceActivity{options}, "token_ms");
}

}  // namespace
