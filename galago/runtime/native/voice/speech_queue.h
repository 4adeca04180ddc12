// What waits to be spoken, in the order it was asked for.
//
//   speak (any thread) ─> waiting ─> the stepping thread ─> spoken ─> freed by a later speak
//
// Texts are as long as they are: they are allocated and freed on the threads that ask, and only
// handed through here.
#ifndef GALAGO_NATIVE_VOICE_SPEECH_QUEUE_H_
#define GALAGO_NATIVE_VOICE_SPEECH_QUEUE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "pronunciation/speech_text.h"

namespace galago {

// A text, ready to be spoken.
struct Utterance {
  uint64_t number = 0;       // 1, 2, 3, ... in the order of the queue
  int64_t asked_ns = 0;      // when speak was called
  bool had_to_wait = false;  // for another one, before it
  std::vector<SpeechSegment> segments;
  std::vector<Prosody> prosodies;  // that the segments' phones name
  std::vector<float> gains;        // of each prosody
  size_t num_phones = 0;
};

class SpeechQueue {
 public:
  static constexpr size_t kMaxUtterances = 32;           // that may wait
  static constexpr size_t kMaxPhones = size_t{1} << 18;  // of all that wait: some hours

  SpeechQueue();

  // Numbers it and puts it at the end. From any thread. Throws Error (GALAGO_E_FULL).
  uint64_t push(std::unique_ptr<Utterance> utterance);

  // The number of the last one that was pushed; 0: none yet. From any thread.
  uint64_t last_number() const { return last_number_.load(std::memory_order_acquire); }

  bool has_waiting() const { return num_waiting_.load(std::memory_order_acquire) > 0; }

  // The stepping thread: the oldest, or NULL; and back when it is done with.
  std::unique_ptr<Utterance> take();
  void put_back(std::unique_ptr<Utterance> spoken);

  // Forgets what waits; numbers go on. The number of the last that is forgotten.
  uint64_t clear();

  size_t num_bytes() const { return sizeof(*this); }

 private:
  std::mutex mutex_;                                 // guards what follows
  std::vector<std::unique_ptr<Utterance>> waiting_;  // oldest first
  std::vector<std::unique_ptr<Utterance>> spoken_;
  size_t num_waiting_phones_ = 0;

  std::atomic<size_t> num_waiting_{0};
  std::atomic<uint64_t> last_number_{0};
};

}  // namespace galago

#endif  // GALAGO_NATIVE_VOICE_SPEECH_QUEUE_H_
