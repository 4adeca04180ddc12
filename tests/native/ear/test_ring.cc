// The audio ring and capture time: all or nothing, in order, marks before their samples.
#include "ear/ring.h"

#include <thread>
#include <vector>

#include "check.h"
#include "ear/capture_clock.h"

using namespace galago;

namespace {

std::vector<float> ramp(size_t begin, size_t size) {
  std::vector<float> samples(size);
  for (size_t i = 0; i < size; ++i) samples[i] = static_cast<float>((begin + i) % 10007);
  return samples;
}

}  // namespace

TEST(samples_come_out_as_they_went_in_or_not_at_all) {
  AudioRing ring(1000);
  CHECK(!ring.write(ramp(0, 1001).data(), 1001, nullptr));
  size_t written = 0, read = 0;
  for (size_t i = 0; i < 500; ++i) {
    const size_t size = i * 131 % 400 + 1;
    if (ring.write(ramp(written, size).data(), size, nullptr)) {
      written += size;
    } else {
      CHECK(ring.size() + size > 1000);
    }
    std::vector<float> out(std::min<size_t>(ring.size(), i * 57 % 300));
    ring.read(out.data(), out.size());
    CHECK(out == ramp(read, out.size()));
    read += out.size();
    CHECK_EQ(ring.size(), written - read);
    CHECK_EQ(ring.position(), read);
  }
}

TEST(a_write_without_room_for_its_mark_takes_nothing) {
  AudioRing ring(1000);
  const CaptureMark mark;
  const float sample = 0;
  for (size_t i = 0; i < AudioRing::kMaxMarks; ++i) CHECK(ring.write(&sample, 1, &mark));
  CHECK(!ring.write(&sample, 1, &mark));
  CHECK_EQ(ring.size(), AudioRing::kMaxMarks);
  CHECK_EQ(ring.front_mark()->sample, 0u);
  ring.drop_mark();
  CHECK_EQ(ring.front_mark()->sample, 1u);
  CHECK(ring.write(&sample, 1, &mark));
}

TEST(a_writer_and_a_reader_need_no_lock) {
  AudioRing ring(777);
  constexpr size_t kTotal = 200'000;
  std::thread writer([&] {
    for (size_t written = 0; written < kTotal;) {
      const size_t size = std::min<size_t>(written % 97 + 1, kTotal - written);
      CaptureMark mark;
      mark.capture_ns = static_cast<int64_t>(written);
      if (ring.write(ramp(written, size).data(), size, written % 5 == 0 ? &mark : nullptr)) {
        written += size;
      } else {
        std::this_thread::yield();
      }
    }
  });
  size_t read = 0;
  bool in_order = true;
  while (read < kTotal) {
    std::vector<float> out(std::min<size_t>(ring.size(), 50));
    ring.read(out.data(), out.size());
    in_order = in_order && out == ramp(read, out.size());
    read += out.size();
    while (const CaptureMark* mark = ring.front_mark()) {
      in_order = in_order && static_cast<uint64_t>(mark->capture_ns) == mark->sample;
      ring.drop_mark();
    }
    if (out.empty()) std::this_thread::yield();
  }
  writer.join();
  CHECK(in_order);
}

TEST(a_jump_is_a_gap_and_drift_is_followed) {
  CaptureTracker tracker(16000);
  CaptureMark mark;
  CHECK(tracker.needs_mark(1'000'000'000, &mark));
  CHECK(!mark.is_gap);
  tracker.advance(1'000'000'000, 320, &mark);
  CHECK(!tracker.needs_mark(1'020'000'000, &mark));
  CHECK(!tracker.needs_mark(1'060'000'000, &mark));
  CHECK(tracker.needs_mark(1'060'000'001, &mark));
  CHECK(mark.is_gap);
  CHECK_EQ(mark.gap_begin_ns, 1'020'000'000);
  CHECK(tracker.needs_mark(900'000'000, &mark));  // the clock was set back
  CHECK(mark.is_gap);
  CHECK_EQ(mark.gap_begin_ns, 900'000'000);

  // A card that runs 200 ppm slow: no gap in an hour, and marks that follow within 10 ms.
  tracker.reset();
  StreamClock clock(16000);
  int64_t num_samples = 0;
  int num_marks = 0;
  for (int64_t block = 0; block < 180'000; ++block) {
    const int64_t capture_ns = block * 20'004'000;
    const bool needs = tracker.needs_mark(capture_ns, &mark);
    CHECK(!mark.is_gap);
    if (needs && num_marks++ == 0) clock.restart(mark.capture_ns);
    if (needs && num_marks > 1) clock.add_anchor(num_samples, mark.capture_ns);
    CHECK_NEAR(static_cast<double>(clock.capture_ns(num_samples) - capture_ns), 0, 10e6);
    tracker.advance(capture_ns, 320, needs ? &mark : nullptr);
    num_samples += 320;
  }
  CHECK(num_marks > 100);
}

TEST(exact_times_never_need_a_second_mark) {
  for (int rate_hz : {8000, 11025, 16000, 44100}) {
    CaptureTracker tracker(rate_hz);
    CaptureMark mark;
    int64_t num_samples = 0;
    int num_marks = 0;
    for (int64_t i = 0; i < 20'000; ++i) {
      const int64_t capture_ns = num_samples * 1'000'000'000 / rate_hz;
      const bool needs = tracker.needs_mark(capture_ns, &mark);
      num_marks += needs;
      tracker.advance(capture_ns, 441, needs ? &mark : nullptr);
      num_samples += 441;
    }
    CHECK_EQ(num_marks, 1);
  }
}

TEST(stream_time_before_the_oldest_anchor_is_still_told) {
  StreamClock clock(16000);
  clock.restart(1'000'000'000);
  for (int64_t i = 1; i <= 40; ++i) clock.add_anchor(i * 16000, 1'000'000'000 + i * 1'001'000'000);
  CHECK_EQ(clock.capture_ns(40 * 16000 + 16),
           1'000'000'000 + 40 * int64_t{1'001'000'000} + 1'000'000);
  CHECK_EQ(clock.capture_ns(39 * 16000 + 15999),
           1'000'000'000 + 39 * int64_t{1'001'000'000} + 999'937'500);
  CHECK_NEAR(static_cast<double>(clock.capture_ns(0)), 1e9, 30e6);
}
