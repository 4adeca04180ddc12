// An ear that hears samples as they are, with a token every 20 ms: the same session, the same
// events.
#include <cstdint>
#include <vector>

#include "check.h"
#include "session/session_fixture.h"

using namespace galago;

namespace {

constexpr size_t kRawTokenSamples = 320;

Ear raw_ear() {
  Ear ear = scripted_ear();
  ear.network = raw_network(static_cast<int>(kRawTokenSamples));
  return ear;
}

std::vector<float> ramp(size_t num_samples) {
  std::vector<float> samples(num_samples);
  for (size_t i = 0; i < num_samples; ++i) samples[i] = static_cast<float>(i % 997) / 1000.0f;
  return samples;
}

}  // namespace

TEST(samples_reach_the_network_as_they_are) {
  const std::vector<float> audio = ramp(16000 + 123);
  const size_t num_tokens = (audio.size() + kRawTokenSamples - 1) / kRawTokenSamples;
  for (size_t lookahead : {size_t{0}, size_t{3}}) {
    for (size_t block : {size_t{1}, size_t{160}, size_t{333}, size_t{2560}, audio.size()}) {
      SessionFixture fixture("", SessionFixture::defaults(),
                             raw_target(8, static_cast<int>(lookahead)), raw_ear());
      fixture.engine->records = true;
      for (size_t i = 0; i < audio.size(); i += block) {
        const size_t n = std::min(block, audio.size() - i);
        CHECK_EQ(
            fixture.session->push_audio(audio.data() + i, n, static_cast<int64_t>(i) * kSampleNs),
            GALAGO_OK);
        if (i % 7 == 0 || block > 100) fixture.step_all();
      }
      fixture.end();
      std::vector<float> expected = audio;
      expected.resize((num_tokens + lookahead + 7) / 8 * 8 * kRawTokenSamples, 0.0f);
      CHECK(fixture.engine->features == expected);
      CHECK_EQ(fixture.engine->keeps.at(0), 0.0f);
      CHECK_EQ(fixture.engine->keeps.at(1), 1.0f);
    }
  }
}

TEST(a_chunk_waits_for_no_sample_of_the_next) {
  SessionFixture fixture("", SessionFixture::defaults(), raw_target(), raw_ear());
  CHECK_EQ(fixture.push(8 * kRawTokenSamples - 1), GALAGO_OK);
  CHECK_EQ(fixture.session->step(), GALAGO_EMPTY);
  CHECK_EQ(fixture.push(1), GALAGO_OK);
  CHECK_EQ(fixture.session->step(), GALAGO_OK);
  const galago_session_info info = fixture.session->info();
  CHECK_EQ(info.chunk_samples, 2560);
  CHECK_EQ(info.left_context_samples, 32 * 320);
}

TEST(times_count_tokens_of_20_ms) {
  SessionFixture fixture("..........aabb~~~~", SessionFixture::defaults(), raw_target(), raw_ear());
  for (int i = 0; i < 10; ++i) {
    fixture.push(8 * kRawTokenSamples);
    fixture.step_all();
  }
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  CHECK_EQ(finals.size(), 1u);
  CHECK_EQ(finals.at(0).text, "ab");
  CHECK_EQ(finals.at(0).begin_ns, 7'000'000'000 + 10 * 20'000'000);
  const auto stops = fixture.of_type(GALAGO_EVENT_VOICE_STOP);
  CHECK_EQ(stops.size(), 1u);
  CHECK_EQ(stops.at(0).end_ns, 7'000'000'000 + 18 * 20'000'000);
}
