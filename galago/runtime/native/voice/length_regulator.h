// The length regulator of FastSpeech (Ren et al. 2019), a frame at a time: how many frames each
// phone lasts, and whose frame comes next. galago.models.fastspeech.frame_counts and
// regulate_length are the same for whole sentences.
//
//   counts 2 0 3   ->   frames  a a c c c
#ifndef GALAGO_NATIVE_VOICE_LENGTH_REGULATOR_H_
#define GALAGO_NATIVE_VOICE_LENGTH_REGULATOR_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/heap_bytes.h"

namespace galago {

struct PhoneDuration {
  float num_frames = 0.0f;    // as the network predicts it; finite
  float rate = 1.0f;          // of speech: 2 is twice as fast; above 0
  bool is_mark = false;       // a mark may last no frame, a sound lasts one at least
  uint32_t pause_frames = 0;  // a mark lasts so many at least, at any rate
  uint32_t max_frames = 200;  // that the network may ask for
};

uint32_t count_frames(const PhoneDuration& duration);

class LengthRegulator {
 public:
  // A place among the frames. Default: before the first.
  struct Cursor {
    size_t phone = 0;
    uint32_t num_used = 0;  // of that phone's frames
  };

  explicit LengthRegulator(size_t max_phones) { reserve_written(max_phones, &counts_); }

  // A new sentence: begin, then add each phone's frames; at most max_phones.
  void begin() {
    counts_.clear();
    num_frames_ = 0;
  }
  void add(uint32_t num_frames) {
    counts_.push_back(num_frames);
    num_frames_ += num_frames;
  }

  size_t num_frames() const { return num_frames_; }
  const std::vector<uint32_t>& counts() const { return counts_; }

  // The phone that the next frame belongs to. At most num_frames() times for a cursor.
  size_t next_phone(Cursor* cursor) const;

  size_t num_bytes() const { return heap_bytes(counts_); }

 private:
  std::vector<uint32_t> counts_;
  size_t num_frames_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_VOICE_LENGTH_REGULATOR_H_
