// The newest image, handed from one writer to one reader without locks or waiting.
//
// Three slots: one that the writer fills, one that the reader holds, and one in between, which
// either may exchange for its own at any time:
//
//   camera ─> [writing]   <─exchange─>   [between]   <─exchange─>   [reading] ─> step
#ifndef GALAGO_NATIVE_EYE_IMAGE_INBOX_H_
#define GALAGO_NATIVE_EYE_IMAGE_INBOX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace galago {

class ImageInbox {
 public:
  struct Slot {
    int64_t capture_ns = 0;
    std::vector<float> pixels;
  };

  explicit ImageInbox(size_t num_values) {
    for (Slot& slot : slots_) slot.pixels.resize(num_values);
  }

  // The writer: fill it, then publish. True: an image was replaced that nobody had taken.
  Slot* writing() { return &slots_[writing_]; }
  bool publish() {
    const uint8_t before = between_.exchange(writing_ | kFresh, std::memory_order_acq_rel);
    writing_ = before & kIndex;
    return (before & kFresh) != 0;
  }

  // The reader: the newest image, once; NULL if there is none. Valid until the next take().
  bool has_image() const { return (between_.load(std::memory_order_acquire) & kFresh) != 0; }
  const Slot* take() {
    if (!has_image()) return nullptr;
    reading_ = between_.exchange(reading_, std::memory_order_acq_rel) & kIndex;
    return &slots_[reading_];
  }

  // Neither writer nor reader may be inside.
  void clear() { between_.fetch_and(kIndex, std::memory_order_relaxed); }

  size_t num_bytes() const { return 3 * slots_[0].pixels.size() * sizeof(float); }

 private:
  static constexpr uint8_t kIndex = 3;
  static constexpr uint8_t kFresh = 4;  // written, and not taken yet

  Slot slots_[3];
  uint8_t writing_ = 0;
  uint8_t reading_ = 1;
  std::atomic<uint8_t> between_{2};
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EYE_IMAGE_INBOX_H_
