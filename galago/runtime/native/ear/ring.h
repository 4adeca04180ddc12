// A ring of audio between one writer and one reader, without locks.
//
// Beside the samples it carries marks: "from this sample on, capture time is this". A mark is
// written before the samples it speaks of, so a reader that sees a sample sees its mark.
#ifndef GALAGO_NATIVE_EAR_RING_H_
#define GALAGO_NATIVE_EAR_RING_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace galago {

struct CaptureMark {
  uint64_t sample = 0;       // position in the ring's endless count
  int64_t capture_ns = 0;    // capture time of that sample
  bool is_gap = false;       // samples are missing before it: a new stream begins here
  int64_t gap_begin_ns = 0;  // where the samples before a gap end
};

class AudioRing {
 public:
  static constexpr size_t kMaxMarks = 64;

  explicit AudioRing(size_t capacity_samples) : capacity_(capacity_samples) {
    size_t size = 1;
    while (size < capacity_samples) size *= 2;
    samples_.resize(size);
    marks_.resize(kMaxMarks);
  }

  size_t capacity() const { return capacity_; }
  size_t num_bytes() const {
    return samples_.size() * sizeof(float) + marks_.size() * sizeof(CaptureMark);
  }

  // The writer. All samples and the mark (if not NULL; its `sample` is filled in) or nothing.
  bool write(const float* samples, size_t num_samples, const CaptureMark* mark) {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    if (num_samples > capacity_ - (head - tail_.load(std::memory_order_acquire))) return false;
    if (mark != nullptr) {
      const uint64_t mark_head = mark_head_.load(std::memory_order_relaxed);
      if (mark_head - mark_tail_.load(std::memory_order_acquire) == kMaxMarks) return false;
      CaptureMark& slot = marks_[mark_head % kMaxMarks];
      slot = *mark;
      slot.sample = head;
      mark_head_.store(mark_head + 1, std::memory_order_release);
    }
    const size_t at = head & (samples_.size() - 1);
    const size_t first = std::min(num_samples, samples_.size() - at);
    std::memcpy(samples_.data() + at, samples, first * sizeof(float));
    std::memcpy(samples_.data(), samples + first, (num_samples - first) * sizeof(float));
    head_.store(head + num_samples, std::memory_order_release);
    return true;
  }

  // The reader. Samples that wait; marks up to the last of them are visible.
  size_t size() const {
    return head_.load(std::memory_order_acquire) - tail_.load(std::memory_order_relaxed);
  }
  uint64_t position() const { return tail_.load(std::memory_order_relaxed); }

  // Takes num_samples <= size().
  void read(float* out, size_t num_samples) {
    if (num_samples == 0) return;  // `out` may be no array at all
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    const size_t at = tail & (samples_.size() - 1);
    const size_t first = std::min(num_samples, samples_.size() - at);
    std::memcpy(out, samples_.data() + at, first * sizeof(float));
    std::memcpy(out + first, samples_.data(), (num_samples - first) * sizeof(float));
    tail_.store(tail + num_samples, std::memory_order_release);
  }

  // The oldest mark, or NULL. Valid until drop_mark.
  const CaptureMark* front_mark() const {
    const uint64_t tail = mark_tail_.load(std::memory_order_relaxed);
    if (mark_head_.load(std::memory_order_acquire) == tail) return nullptr;
    return &marks_[tail % kMaxMarks];
  }
  void drop_mark() {
    mark_tail_.store(mark_tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  // Forgets everything. Neither writer nor reader may be inside.
  void clear() {
    head_.store(0, std::memory_order_relaxed);
    tail_.store(0, std::memory_order_relaxed);
    mark_head_.store(0, std::memory_order_relaxed);
    mark_tail_.store(0, std::memory_order_relaxed);
  }

 private:
  const size_t capacity_;
  std::vector<float> samples_;  // a power of two of them, so that positions wrap by a mask
  std::vector<CaptureMark> marks_;
  // Each side's counters on a cache line of their own.
  alignas(64) std::atomic<uint64_t> head_{0};
  std::atomic<uint64_t> mark_head_{0};
  alignas(64) std::atomic<uint64_t> tail_{0};
  std::atomic<uint64_t> mark_tail_{0};
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_RING_H_
