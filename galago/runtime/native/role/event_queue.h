// Events on their way from the step to the caller, in storage made beforehand.
//
//   free slots  ->  being written  ->  waiting (oldest first)  ->  held by the caller  ->  free
//
// When the waiting ones reach the capacity, the oldest event that a later one replaces anyway
// (PARTIAL, POSTERIORS, LABELS, LOGITS) is dropped, or else the oldest; a hole in `sequence` tells
// it.
#ifndef GALAGO_NATIVE_ROLE_EVENT_QUEUE_H_
#define GALAGO_NATIVE_ROLE_EVENT_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "galago/galago.h"

namespace galago {

// What one event can hold at most.
struct EventLimits {
  size_t text_bytes = 1024;  // all strings of the event together, with their NULs
  size_t num_words = 64;
  size_t num_labels = 64;
  size_t num_values = 1;
};

class EventQueue {
 public:
  EventQueue(size_t capacity, const EventLimits& limits);

  // The producer, one thread at a time. begin() ... add ... publish(). What does not fit any more
  // is left out, whole words and labels at a time.
  galago_event* begin(uint32_t type);
  void set_text(std::string_view text);  // cut at a character's boundary
  bool add_word(std::string_view text, int64_t begin_ns, int64_t end_ns, float confidence);
  bool add_label(std::string_view name, std::string_view value, float score);
  bool add_class(std::string_view name, float score);  // a label without a value
  // Room for so many values, to be filled before publish(); at most limits.num_values.
  float* add_values(size_t num_values);
  void publish();

  // The consumer, one thread at a time. The event's pointers are valid until the next take().
  bool take(galago_event* event);
  bool is_empty() const;

  // Back to sequence 1. Producer and consumer must be outside.
  void clear();

  size_t num_bytes() const;

 private:
  struct Slot {
    galago_event event;
    size_t used_bytes;
    char* text;
    galago_word* words;
    galago_label* labels;
    float* values;
  };

  // A NUL-terminated copy in the slot's text, or nullptr if it does not fit.
  const char* store(Slot* slot, std::string_view text) const;
  void drop_one();

  // Eight that wait, more than a step tells but for rare ones, one being written and one held.
  static constexpr size_t kSlotsWritten = 10;

  const size_t capacity_;
  const EventLimits limits_;
  // Of all slots. Those that a queue which is emptied in time goes round in are written when it is
  // made; the memory of what only a long queue uses stays untouched until then.
  std::unique_ptr<char[]> text_;
  std::unique_ptr<galago_word[]> words_;
  std::unique_ptr<galago_label[]> labels_;
  std::unique_ptr<float[]> values_;
  std::vector<Slot> slots_;  // capacity_ waiting, one being written, one held
  Slot* writing_;

  mutable std::mutex mutex_;    // guards what follows
  std::vector<Slot*> free_;     // a stack
  std::vector<Slot*> waiting_;  // oldest first
  Slot* held_ = nullptr;
  uint64_t next_sequence_ = 1;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_ROLE_EVENT_QUEUE_H_
