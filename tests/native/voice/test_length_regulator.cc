// How long phones last, whose frame comes next, and the noise that frames are given.
#include "voice/length_regulator.h"

#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "voice/vocoder_noise.h"

using namespace galago;

namespace {

uint32_t frames(float predicted, float rate = 1.0f, bool is_mark = false,
                uint32_t pause_frames = 0) {
  return count_frames({predicted, rate, is_mark, pause_frames, 200});
}

}  // namespace

TEST(durations_are_rounded_to_whole_frames) {
  CHECK_EQ(frames(2.49f), 2u);
  CHECK_EQ(frames(2.5f), 3u);
  CHECK_EQ(frames(6.0f, 2.0f), 3u);
  CHECK_EQ(frames(6.0f, 0.5f), 12u);
}

TEST(a_sound_lasts_a_frame_at_any_speed_and_a_mark_may_last_none) {
  CHECK_EQ(frames(0.0f), 1u);
  CHECK_EQ(frames(1.0f, 4.0f), 1u);
  CHECK_EQ(frames(0.4f, 1.0f, true), 0u);
}

TEST(a_pause_lasts_as_long_as_it_was_asked_for_at_any_speed) {
  CHECK_EQ(frames(3.0f, 1.0f, true, 50), 50u);
  CHECK_EQ(frames(3.0f, 4.0f, true, 50), 50u);
  CHECK_EQ(frames(80.0f, 1.0f, true, 50), 80u);
  CHECK_EQ(frames(3.0f, 1.0f, true, 1000), 1000u);  // beyond what the network may ask for
  CHECK_EQ(frames(3.0f, 1.0f, false, 50), 3u);      // a sound is no pause
}

TEST(what_a_network_asks_for_is_bounded) {
  CHECK_EQ(frames(1e30f), 200u);
  CHECK_EQ(frames(-1e30f), 1u);
  CHECK_EQ(frames(std::numeric_limits<float>::max(), 0.25f), 200u);
  CHECK_EQ(frames(-5.0f, 1.0f, true), 0u);
}

TEST(rows_are_repeated_as_often_as_their_frames_say) {
  LengthRegulator regulator(8);
  for (const std::vector<uint32_t>& counts :
       {std::vector<uint32_t>{2, 0, 3}, {0, 0, 1}, {1}, {4, 0, 0}}) {
    regulator.begin();
    std::string expected;
    for (size_t phone = 0; phone < counts.size(); ++phone) {
      regulator.add(counts[phone]);
      expected.append(counts[phone], static_cast<char>('a' + phone));
    }
    CHECK_EQ(regulator.num_frames(), expected.size());
    // Two places in one sentence do not know of each other.
    LengthRegulator::Cursor first, second;
    std::string one, other;
    for (size_t i = 0; i < expected.size(); ++i) {
      one += static_cast<char>('a' + regulator.next_phone(&first));
      if (i % 2 == 0) other += static_cast<char>('a' + regulator.next_phone(&second));
    }
    CHECK_EQ(one, expected);
    CHECK_EQ(other, expected.substr(0, other.size()));
  }
}

TEST(noise_is_the_same_whatever_pieces_it_is_asked_for_in) {
  std::vector<float> whole(1000), piece(37);
  fill_vocoder_noise(7, 500, whole.size(), whole.data());
  for (uint32_t begin = 0; begin + piece.size() <= whole.size(); begin += 37) {
    fill_vocoder_noise(7, 500 + begin, piece.size(), piece.data());
    CHECK(std::equal(piece.begin(), piece.end(), whole.begin() + begin));
  }
  double sum = 0;
  for (const float value : whole) {
    CHECK(value >= 0.0f && value < 1.0f);
    sum += value;
  }
  CHECK_NEAR(sum / 1000, 0.5, 0.05);
}

TEST(noise_has_the_bits_that_the_format_says) {
  // docs/bundles.md, worked out by hand in unbounded arithmetic.
  float value = -1.0f;
  fill_vocoder_noise(0, 0, 1, &value);
  CHECK_EQ(value, 0.0f);
  const auto formula = [](uint64_t seed, uint64_t position) {
    constexpr uint64_t kMask = 0xFFFFFFFF;
    uint64_t x = (position * 0x9E3779B9 + seed) & kMask;
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & kMask;
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & kMask;
    x ^= x >> 16;
    return static_cast<double>(x >> 8) / 16777216.0;
  };
  for (const uint32_t position : {1u, 2u, 12345u, 0xFFFFFFFFu}) {
    for (const uint32_t seed : {0u, 7u, 0xFFFFFFFFu}) {
      fill_vocoder_noise(seed, position, 1, &value);
      CHECK_EQ(static_cast<double>(value), formula(seed, position));
    }
  }
}
