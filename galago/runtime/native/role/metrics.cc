#include "role/metrics.h"

#include <time.h>

#include <cmath>
#include <initializer_list>

namespace galago {

int64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

int DurationHistogram::bucket_of(int64_t duration_ns) {
  if (duration_ns < (int64_t{1} << kFirstOctave)) return 0;
  const int octave = 63 - __builtin_clzll(static_cast<uint64_t>(duration_ns));
  // The four bits after the leading one: linear within the octave.
  const int part = static_cast<int>(duration_ns >> (octave - 4)) & (kPerOctave - 1);
  const int bucket = (octave - kFirstOctave) * kPerOctave + part;
  return bucket < kNumBuckets ? bucket : kNumBuckets - 1;
}

int64_t DurationHistogram::upper_edge_ns(int bucket) {
  const int64_t octave_ns = int64_t{1} << (kFirstOctave + bucket / kPerOctave);
  return octave_ns + octave_ns / kPerOctave * (bucket % kPerOctave + 1);
}

void DurationHistogram::add(int64_t duration_ns) {
  std::atomic<uint32_t>& count = counts_[bucket_of(duration_ns)];
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

int64_t DurationHistogram::percentile(double part) const {
  uint64_t total = 0;
  for (const auto& count : counts_) total += count.load(std::memory_order_relaxed);
  if (total == 0) return -1;
  const uint64_t wanted = static_cast<uint64_t>(std::ceil(part * static_cast<double>(total)));
  uint64_t below = 0;
  for (int bucket = 0; bucket < kNumBuckets; ++bucket) {
    below += counts_[bucket].load(std::memory_order_relaxed);
    if (below >= wanted) return upper_edge_ns(bucket);
  }
  return upper_edge_ns(kNumBuckets - 1);
}

void DurationHistogram::reset() {
  for (auto& count : counts_) count.store(0, std::memory_order_relaxed);
}

void SessionMetrics::reset() {
  for (auto* counter :
       {&input_samples_, &refused_samples_, &gaps_, &steps_, &late_steps_, &busy_ns_, &engine_ns_,
        &replaced_images_, &image_steps_, &image_busy_ns_, &image_engine_ns_, &speech_samples_,
        &speech_busy_ns_, &speech_engine_ns_, &speech_underruns_}) {
    counter->store(0, kRelaxed);
  }
  ttfa_ns_.store(-1, kRelaxed);
  partial_latency_ns_.store(-1, kRelaxed);
  final_latency_ns_.store(-1, kRelaxed);
  step_ns_.reset();
  image_step_ns_.reset();
}

void SessionMetrics::count_image_step(int64_t busy_ns, int64_t engine_ns) {
  add(&image_steps_, 1);
  add(&image_busy_ns_, static_cast<uint64_t>(busy_ns));
  add(&image_engine_ns_, static_cast<uint64_t>(engine_ns));
  image_step_ns_.add(busy_ns);
}

void SessionMetrics::count_speech(size_t num_samples, int64_t busy_ns, int64_t engine_ns) {
  add(&speech_samples_, num_samples);
  add(&speech_busy_ns_, static_cast<uint64_t>(busy_ns));
  add(&speech_engine_ns_, static_cast<uint64_t>(engine_ns));
}

void SessionMetrics::count_step(int64_t busy_ns, int64_t engine_ns, int64_t chunk_ns) {
  step_ns_.add(busy_ns);
  add(&steps_, 1);
  count_work(busy_ns, engine_ns);
  if (busy_ns > chunk_ns) add(&late_steps_, 1);
}

void SessionMetrics::count_work(int64_t busy_ns, int64_t engine_ns) {
  add(&busy_ns_, static_cast<uint64_t>(busy_ns));
  add(&engine_ns_, static_cast<uint64_t>(engine_ns));
}

galago_metrics SessionMetrics::get() const {
  galago_metrics metrics = GALAGO_METRICS_INIT;
  metrics.gaps = static_cast<uint32_t>(gaps_.load(kRelaxed));
  metrics.input_samples = input_samples_.load(kRelaxed);
  metrics.refused_samples = refused_samples_.load(kRelaxed);
  metrics.steps = steps_.load(kRelaxed);
  metrics.late_steps = late_steps_.load(kRelaxed);
  const bool measured = metrics.steps > 0;
  metrics.busy_ns = measured ? static_cast<int64_t>(busy_ns_.load(kRelaxed)) : -1;
  metrics.engine_ns = measured ? static_cast<int64_t>(engine_ns_.load(kRelaxed)) : -1;
  metrics.step_p50_ns = step_ns_.percentile(0.50);
  metrics.step_p99_ns = step_ns_.percentile(0.99);
  metrics.partial_latency_ns = partial_latency_ns_.load(kRelaxed);
  metrics.final_latency_ns = final_latency_ns_.load(kRelaxed);
  metrics.ttfa_ns = ttfa_ns_.load(kRelaxed);
  metrics.replaced_images = replaced_images_.load(kRelaxed);
  metrics.image_steps = image_steps_.load(kRelaxed);
  const bool looked = metrics.image_steps > 0;
  metrics.image_busy_ns = looked ? static_cast<int64_t>(image_busy_ns_.load(kRelaxed)) : -1;
  metrics.image_engine_ns = looked ? static_cast<int64_t>(image_engine_ns_.load(kRelaxed)) : -1;
  metrics.image_step_p50_ns = image_step_ns_.percentile(0.50);
  metrics.image_step_p99_ns = image_step_ns_.percentile(0.99);
  metrics.speech_samples = speech_samples_.load(kRelaxed);
  metrics.speech_busy_ns = static_cast<int64_t>(speech_busy_ns_.load(kRelaxed));
  metrics.speech_engine_ns = static_cast<int64_t>(speech_engine_ns_.load(kRelaxed));
  if (metrics.speech_busy_ns == 0) metrics.speech_busy_ns = metrics.speech_engine_ns = -1;
  metrics.speech_underruns = speech_underruns_.load(kRelaxed);
  metrics.peak_bytes = peak_bytes_.load(kRelaxed);
  return metrics;
}

}  // namespace galago
