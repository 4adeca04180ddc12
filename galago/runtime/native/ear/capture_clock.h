// Capture time on both sides of the ring.
//
// The capture thread says when each block was captured; sound cards drift and callbacks jitter.
// CaptureTracker (writer's side) decides when that is news:
//
//   block off by > 40 ms from where the blocks before it lead     a gap
//   smoothed time off by > 5 ms from the last mark's time         a new mark, no gap
//   anything else                                                 nothing
//
// StreamClock (reader's side) turns samples of a stream back into capture time.
#ifndef GALAGO_NATIVE_EAR_CAPTURE_CLOCK_H_
#define GALAGO_NATIVE_EAR_CAPTURE_CLOCK_H_

#include <cstdint>

#include "ear/ring.h"

namespace galago {

constexpr int64_t kGapNs = 40'000'000;
constexpr int64_t kDriftNs = 5'000'000;

class CaptureTracker {
 public:
  explicit CaptureTracker(int sample_rate_hz) : sample_rate_hz_(sample_rate_hz) {}

  void reset() { has_begun_ = false; }

  // For a block that begins at capture_ns in [0, kMaxCaptureNs]: whether it needs a mark, filled
  // in.
  bool needs_mark(int64_t capture_ns, CaptureMark* mark) const {
    mark->is_gap = false;
    mark->gap_begin_ns = 0;
    mark->capture_ns = capture_ns;
    if (!has_begun_) return true;
    const int64_t error_ns = capture_ns - expected_ns_;
    if (error_ns > kGapNs || error_ns < -kGapNs) {
      mark->is_gap = true;
      // A clock that was set back leaves no time between: both ends are where it is now.
      mark->gap_begin_ns = error_ns > 0 ? expected_ns_ : capture_ns;
      return true;
    }
    const int64_t drift_ns = expected_ns_ - (mark_ns_ + duration_ns(samples_since_mark_));
    mark->capture_ns = expected_ns_;
    return drift_ns > kDriftNs || drift_ns < -kDriftNs;
  }

  // The block was taken, with the mark if it needed one.
  void advance(int64_t capture_ns, uint64_t num_samples, const CaptureMark* mark) {
    if (mark != nullptr) {
      if (!has_begun_ || mark->is_gap) expected_ns_ = capture_ns;
      has_begun_ = true;
      mark_ns_ = expected_ns_;
      samples_since_mark_ = 0;
    }
    // A slow loop: jitter of a block moves the clock by a hundredth of it, drift is followed.
    expected_ns_ += (capture_ns - expected_ns_) / 100;
    samples_since_mark_ += num_samples;
    remainder_ += num_samples * 1'000'000'000u;
    expected_ns_ += static_cast<int64_t>(remainder_ / static_cast<uint64_t>(sample_rate_hz_));
    remainder_ %= static_cast<uint64_t>(sample_rate_hz_);
  }

 private:
  int64_t duration_ns(uint64_t num_samples) const {
    const uint64_t rate = static_cast<uint64_t>(sample_rate_hz_);
    return static_cast<int64_t>(num_samples / rate * 1'000'000'000u +
                                num_samples % rate * 1'000'000'000u / rate);
  }

  const int sample_rate_hz_;
  bool has_begun_ = false;
  int64_t expected_ns_ = 0;  // when the next block should begin
  uint64_t remainder_ = 0;   // of expected_ns_, in parts of a sample
  int64_t mark_ns_ = 0;
  uint64_t samples_since_mark_ = 0;
};

class StreamClock {
 public:
  explicit StreamClock(int sample_rate_hz) : sample_rate_hz_(sample_rate_hz) {}

  // A new stream: `capture_ns` is the time of its sample 0.
  void restart(int64_t capture_ns) {
    num_anchors_ = 0;
    add_anchor(0, capture_ns);
  }

  // From this sample of the stream on.
  void add_anchor(int64_t sample, int64_t capture_ns) {
    anchors_[num_anchors_ % kMaxAnchors] = {sample, capture_ns};
    ++num_anchors_;
  }

  int64_t capture_ns(int64_t sample) const {
    // Newest first; the oldest one kept stands for all before it.
    const uint64_t oldest = num_anchors_ > kMaxAnchors ? num_anchors_ - kMaxAnchors : 0;
    uint64_t i = num_anchors_ - 1;
    while (i > oldest && anchors_[i % kMaxAnchors].sample > sample) --i;
    const Anchor& anchor = anchors_[i % kMaxAnchors];
    const int64_t samples = sample - anchor.sample;
    return anchor.capture_ns + samples / sample_rate_hz_ * 1'000'000'000 +
           samples % sample_rate_hz_ * 1'000'000'000 / sample_rate_hz_;
  }

 private:
  struct Anchor {
    int64_t sample;
    int64_t capture_ns;
  };
  static constexpr uint64_t kMaxAnchors = 16;

  const int sample_rate_hz_;
  Anchor anchors_[kMaxAnchors] = {};
  uint64_t num_anchors_ = 1;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_CAPTURE_CLOCK_H_
