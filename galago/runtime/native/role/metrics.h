// What a session measures about itself. Written by one thread each, read by any.
#ifndef GALAGO_NATIVE_ROLE_METRICS_H_
#define GALAGO_NATIVE_ROLE_METRICS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "galago/galago.h"

namespace galago {

int64_t monotonic_ns();

// Durations in buckets that grow by 1/16 of an octave: percentiles to 4.5 %, in fixed memory.
class DurationHistogram {
 public:
  void add(int64_t duration_ns);
  // The duration that this part of all does not exceed; -1 if there are none.
  int64_t percentile(double part) const;
  void reset();

 private:
  static constexpr int kPerOctave = 16;
  static constexpr int kFirstOctave = 10;  // 1.024 us
  static constexpr int kNumOctaves = 26;   // to 69 s
  static constexpr int kNumBuckets = kPerOctave * kNumOctaves;

  static int bucket_of(int64_t duration_ns);
  static int64_t upper_edge_ns(int bucket);

  std::atomic<uint32_t> counts_[kNumBuckets] = {};
};

// Each counter is written by one thread only, so plain loads and stores are enough.
class SessionMetrics {
 public:
  void reset();

  // The capture thread.
  void count_input(uint64_t num_samples) { add(&input_samples_, num_samples); }
  void count_refused(uint64_t num_samples) { add(&refused_samples_, num_samples); }

  // The playback thread.
  void count_speech_underrun() { add(&speech_underruns_, 1); }

  // The camera's thread.
  void count_replaced_image() { add(&replaced_images_, 1); }

  // The stepping thread.
  void count_gap() { add(&gaps_, 1); }
  void count_step(int64_t busy_ns, int64_t engine_ns, int64_t chunk_ns);
  // Of the ear, outside of a step's chunk.
  void count_work(int64_t busy_ns, int64_t engine_ns);
  void count_image_step(int64_t busy_ns, int64_t engine_ns);
  void count_speech(size_t num_samples, int64_t busy_ns, int64_t engine_ns);
  void set_ttfa_ns(int64_t ns) { ttfa_ns_.store(ns, kRelaxed); }
  void set_partial_latency_ns(int64_t ns) { partial_latency_ns_.store(ns, kRelaxed); }
  void set_final_latency_ns(int64_t ns) { final_latency_ns_.store(ns, kRelaxed); }

  void set_peak_bytes(size_t num_bytes) {
    peak_bytes_.store(static_cast<int64_t>(num_bytes), kRelaxed);
  }

  galago_metrics get() const;

 private:
  static constexpr auto kRelaxed = std::memory_order_relaxed;

  static void add(std::atomic<uint64_t>* counter, uint64_t n) {
    counter->store(counter->load(kRelaxed) + n, kRelaxed);
  }

  std::atomic<uint64_t> input_samples_{0};
  std::atomic<uint64_t> refused_samples_{0};
  std::atomic<uint64_t> gaps_{0};
  std::atomic<uint64_t> steps_{0};
  std::atomic<uint64_t> late_steps_{0};
  std::atomic<uint64_t> busy_ns_{0};
  std::atomic<uint64_t> engine_ns_{0};
  std::atomic<uint64_t> replaced_images_{0};
  std::atomic<uint64_t> image_steps_{0};
  std::atomic<uint64_t> image_busy_ns_{0};
  std::atomic<uint64_t> image_engine_ns_{0};
  std::atomic<uint64_t> speech_samples_{0};
  std::atomic<uint64_t> speech_busy_ns_{0};
  std::atomic<uint64_t> speech_engine_ns_{0};
  std::atomic<uint64_t> speech_underruns_{0};
  std::atomic<int64_t> ttfa_ns_{-1};
  std::atomic<int64_t> partial_latency_ns_{-1};
  std::atomic<int64_t> final_latency_ns_{-1};
  std::atomic<int64_t> peak_bytes_{-1};
  DurationHistogram step_ns_;
  DurationHistogram image_step_ns_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_ROLE_METRICS_H_
