// Blocks of speech between the thread that computes and the one that plays.
#include "voice/speech_playback.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "check.h"

using namespace galago;

namespace {

constexpr size_t kFade = 4;

// A block of `utterance` whose samples count up from `first`.
bool write(SpeechPlayback* playback, uint64_t utterance, float first, size_t num_samples,
           bool is_last = false) {
  SpeechPlayback::Block* block = playback->writing();
  if (block == nullptr) return false;
  block->utterance = utterance;
  block->num_samples = num_samples;
  block->is_last = is_last;
  for (size_t i = 0; i < num_samples; ++i) block->samples[i] = first + static_cast<float>(i);
  playback->publish();
  return true;
}

std::vector<float> read(SpeechPlayback* playback, size_t capacity) {
  std::vector<float> samples(capacity, -1.0f);
  samples.resize(playback->read(samples.data(), capacity).num_samples);
  return samples;
}

using Samples = std::vector<float>;

}  // namespace

TEST(samples_are_read_in_order_whatever_the_pieces) {
  SpeechPlayback playback(3, 8, kFade);
  CHECK(write(&playback, 1, 10, 3));
  CHECK(write(&playback, 1, 20, 2, true));
  CHECK(write(&playback, 2, 30, 1, true));
  CHECK(!write(&playback, 2, 40, 1));
  CHECK(!playback.has_room());
  CHECK(read(&playback, 2) == Samples({10, 11}));
  CHECK_EQ(playback.heard_through(), 0u);
  CHECK(read(&playback, 2) == Samples({12, 20}));
  CHECK(playback.has_room());
  CHECK(read(&playback, 9) == Samples({21, 30}));
  CHECK_EQ(playback.heard_through(), 2u);
  CHECK(read(&playback, 9).empty());
}

TEST(an_utterance_is_heard_when_its_last_sample_is_read_not_when_more_is_asked_for) {
  SpeechPlayback playback(3, 8, kFade);
  write(&playback, 5, 1, 2, true);
  CHECK_EQ(read(&playback, 2).size(), 2u);
  CHECK_EQ(playback.heard_through(), 5u);
}

TEST(reading_nothing_takes_nothing) {
  SpeechPlayback playback(3, 8, kFade);
  CHECK_EQ(playback.read(nullptr, 0).num_samples, 0u);
  write(&playback, 1, 1, 2);
  CHECK_EQ(playback.read(nullptr, 0).num_samples, 0u);
  CHECK_EQ(read(&playback, 8).size(), 2u);
}

TEST(a_stop_fades_what_sounds_and_drops_what_waits) {
  SpeechPlayback playback(4, 8, kFade);
  write(&playback, 1, 8, 8);
  write(&playback, 1, 8, 8, true);
  write(&playback, 2, 8, 8, true);
  write(&playback, 3, 50, 2, true);
  CHECK_EQ(read(&playback, 1).size(), 1u);
  playback.stop_through(2);
  CHECK(read(&playback, 99) == Samples({9, 7.5, 5.5, 3, 50, 51}));
  CHECK_EQ(playback.heard_through(), 3u);
}

TEST(a_fade_goes_on_over_reads_and_blocks) {
  SpeechPlayback playback(4, 8, kFade);
  write(&playback, 1, 4, 3);
  write(&playback, 1, 4, 8);
  CHECK_EQ(read(&playback, 2).size(), 2u);
  playback.stop_through(1);
  CHECK(read(&playback, 2) == Samples({6, 3}));
  CHECK(read(&playback, 1) == Samples({2.5}));
  CHECK(read(&playback, 8) == Samples({1.5}));
  CHECK(read(&playback, 8).empty());
  write(&playback, 1, 4, 8);  // it was computed while speech was stopped
  CHECK(read(&playback, 8).empty());
}

TEST(what_never_sounded_is_stopped_without_a_sound) {
  SpeechPlayback playback(4, 8, kFade);
  write(&playback, 1, 1, 8);
  playback.stop_through(1);
  CHECK(read(&playback, 8).empty());
  playback.stop_through(0);  // never goes back
  CHECK(playback.is_stopped(1));
  CHECK(!playback.is_stopped(2));
}

TEST(too_little_amid_an_utterance_is_an_underrun_and_silence_between_two_is_none) {
  SpeechPlayback playback(4, 8, kFade);
  float samples[16];
  CHECK(!playback.read(samples, 16).is_underrun);
  write(&playback, 1, 1, 8);
  CHECK(!playback.read(samples, 8).is_underrun);
  CHECK(playback.read(samples, 8).is_underrun);
  write(&playback, 1, 1, 8, true);
  CHECK(!playback.read(samples, 16).is_underrun);
  CHECK(!playback.read(samples, 16).is_underrun);
  write(&playback, 2, 1, 8);
  playback.read(samples, 16);
  playback.stop_through(2);
  CHECK(!playback.read(samples, 16).is_underrun);
}

TEST(a_freed_block_is_told) {
  SpeechPlayback playback(4, 8, kFade);
  float samples[8];
  write(&playback, 1, 1, 8);
  CHECK(!playback.read(samples, 4).has_freed);
  CHECK(playback.read(samples, 4).has_freed);
  CHECK(!playback.read(samples, 4).has_freed);
}

TEST(clearing_forgets_blocks_and_what_sounds) {
  SpeechPlayback playback(2, 8, kFade);
  write(&playback, 1, 1, 8);
  write(&playback, 1, 1, 8);
  read(&playback, 3);
  playback.clear();
  CHECK(read(&playback, 8).empty());
  write(&playback, 2, 7, 1, true);
  CHECK(read(&playback, 8) == Samples({7}));
}

// Under ThreadSanitizer this is where a race would show.
TEST(writer_reader_and_stops_run_at_once) {
  constexpr uint64_t kNumUtterances = 2000;
  SpeechPlayback playback(4, 16, kFade);
  std::atomic<uint64_t> written{0};
  std::atomic<bool> is_done{false};
  std::thread writer([&] {
    for (uint64_t utterance = 1; utterance <= kNumUtterances; ++utterance) {
      for (int block = 0; block < 3;) {
        if (write(&playback, utterance, static_cast<float>(utterance), 1, block == 2)) {
          ++block;
        } else {
          std::this_thread::yield();
        }
      }
      written.store(utterance);
    }
  });
  std::thread stopper([&] {
    while (!is_done.load()) {
      const uint64_t now = written.load();
      if (now % 10 == 9) playback.stop_through(now);
      std::this_thread::yield();
    }
  });
  float last = 0;
  while (playback.heard_through() < kNumUtterances) {
    float samples[5];
    const SpeechPlayback::Taken taken = playback.read(samples, 5);
    for (size_t i = 0; i < taken.num_samples; ++i) {
      // Whole ones count up; a faded one is smaller than what it was.
      CHECK(samples[i] <= static_cast<float>(kNumUtterances));
      if (samples[i] == std::floor(samples[i]) && samples[i] > last) last = samples[i];
    }
    if (taken.num_samples == 0) std::this_thread::yield();
  }
  is_done.store(true);
  writer.join();
  stopper.join();
  CHECK(last > 0);
}
