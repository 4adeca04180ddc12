#include "voice/length_regulator.h"

#include <algorithm>
#include <cmath>

namespace galago {

uint32_t count_frames(const PhoneDuration& duration) {
  // Compared as floats: what is beyond the integers is cut before it is one.
  const float rounded = std::floor(duration.num_frames / duration.rate + 0.5f);
  const float least = duration.is_mark ? 0.0f : 1.0f;
  const float most = std::max(least, static_cast<float>(duration.max_frames));
  const auto frames = static_cast<uint32_t>(std::min(std::max(rounded, least), most));
  return duration.is_mark ? std::max(frames, duration.pause_frames) : frames;
}

size_t LengthRegulator::next_phone(Cursor* cursor) const {
  while (cursor->num_used == counts_[cursor->phone]) {
    ++cursor->phone;
    cursor->num_used = 0;
  }
  ++cursor->num_used;
  return cursor->phone;
}

}  // namespace galago
