// Untrusted bytes read in order, little-endian whatever the machine; past the end is an error.
#ifndef GALAGO_NATIVE_BASE_BYTE_READER_H_
#define GALAGO_NATIVE_BASE_BYTE_READER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/status.h"

namespace galago {

class ByteReader {
 public:
  // `name` stands in messages and must outlive the reader.
  ByteReader(const void* bytes, size_t num_bytes, const char* name)
      : begin_(static_cast<const uint8_t*>(bytes)),
        at_(begin_),
        end_(begin_ + num_bytes),
        name_(name) {}

  // Throws Error (GALAGO_E_CORRUPT) where so many are not left.
  const uint8_t* take(size_t num_bytes) {
    if (static_cast<size_t>(end_ - at_) < num_bytes)
      fail(GALAGO_E_CORRUPT, "%s: ends at byte %zu, %zu more were expected", name_,
           static_cast<size_t>(end_ - begin_), num_bytes - static_cast<size_t>(end_ - at_));
    const uint8_t* taken = at_;
    at_ += num_bytes;
    return taken;
  }
  uint32_t u32() {
    const uint8_t* b = take(4);
    return static_cast<uint32_t>(b[0]) | static_cast<uint32_t>(b[1]) << 8 |
           static_cast<uint32_t>(b[2]) << 16 | static_cast<uint32_t>(b[3]) << 24;
  }
  uint32_t u32_in(const char* what, uint32_t low, uint32_t high) {
    const uint32_t value = u32();
    if (value < low || value > high)
      fail(GALAGO_E_CORRUPT, "%s: %s is %u, must be in %u ... %u", name_, what, value, low, high);
    return value;
  }
  float f32() {
    const uint32_t bits = u32();
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  // Names with a line feed behind each.
  std::vector<std::string> names(size_t count, size_t num_bytes) {
    const char* text = reinterpret_cast<const char*>(take(num_bytes));
    std::vector<std::string> found(1);
    for (size_t i = 0; i < num_bytes; ++i) {
      if (text[i] == '\n') {
        found.emplace_back();
      } else {
        found.back().push_back(text[i]);
      }
    }
    if (found.size() != count + 1 || !found.back().empty())
      fail(GALAGO_E_CORRUPT, "%s: %zu names, expected %zu", name_, found.size() - 1, count);
    found.pop_back();
    return found;
  }
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  void expect_end() const {
    if (left() != 0) fail(GALAGO_E_CORRUPT, "%s: %zu bytes too many", name_, left());
  }

 private:
  const uint8_t* begin_;
  const uint8_t* at_;
  const uint8_t* end_;
  const char* name_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_BASE_BYTE_READER_H_
