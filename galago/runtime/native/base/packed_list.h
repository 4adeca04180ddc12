// Rising numbers with a small value each, in a few bits an entry, searched where they lie.
//
//   list    number of entries, seven bits a byte, the lowest first: 128 says that more follow; of a
//           single block of at most 32 entries its bytes, u8, of several where each ends, u16; the
//           first number of each later block, u16; the blocks
//   block   half bytes, the lower one of a byte first; an entry is its value and then, but for the
//           first entry of a later block, by how much its number is above the one before, less one:
//           three bits a half byte, the lowest first, 8 says that more follow. Before the first
//           entry stands -1
//
// Bytes for reading come from lists that check() let pass, and eight more may be read behind a
// list.
#ifndef GALAGO_NATIVE_BASE_PACKED_LIST_H_
#define GALAGO_NATIVE_BASE_PACKED_LIST_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace galago {

// At most 21 bits, seven a byte; `*at` moves behind it.
inline uint32_t read_packed_number(const uint8_t** at) {
  uint32_t number = 0;
  for (int shift = 0; shift < 21; shift += 7) {
    const uint8_t byte = *(*at)++;
    number |= static_cast<uint32_t>(byte & 127) << shift;
    if (byte < 128) break;
  }
  return number;
}

class PackedList {
 public:
  struct Entry {
    uint32_t index;
    uint8_t value;  // 0 ... 15
  };

  explicit PackedList(const uint8_t* bytes) {
    size_ = read_packed_number(&bytes);
    num_blocks_ = (size_ + kBlockEntries - 1) / kBlockEntries;
    ends_ = bytes;
    blocks_ = ends_ + header_bytes(num_blocks_);
  }

  uint32_t size() const { return size_; }
  const uint8_t* end() const {
    return blocks_ + (num_blocks_ > 1 ? u16(ends_, num_blocks_ - 1) : *ends_);
  }

  // False where the number is not in the list.
  bool find(uint32_t number, Entry* entry) const;

  // Of a list of numbers below `limit` that begins here and ends before `end`, its end; nullptr for
  // anything else. Adds the numbers to `numbers`, unless that is nullptr.
  static const uint8_t* check(const uint8_t* bytes, const uint8_t* end, uint32_t limit,
                              std::vector<uint16_t>* numbers);

 private:
  static constexpr uint32_t kBlockEntries = 32;

  static uint16_t u16(const uint8_t* bytes, size_t index) {
    uint16_t number;
    std::memcpy(&number, bytes + 2 * index, 2);
    return number;
  }
  static size_t header_bytes(size_t num_blocks) { return num_blocks > 1 ? 4 * num_blocks - 2 : 1; }

  const uint8_t* block(uint32_t index) const {
    return index == 0 ? blocks_ : blocks_ + u16(ends_, index - 1);
  }
  // Of a later block.
  uint32_t first(uint32_t block) const { return u16(ends_, num_blocks_ + block - 1); }

  uint32_t size_;
  uint32_t num_blocks_;
  const uint8_t* ends_;
  const uint8_t* blocks_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_BASE_PACKED_LIST_H_
