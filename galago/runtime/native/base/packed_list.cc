#include "base/packed_list.h"

namespace galago {
namespace {

constexpr uint32_t kMaxNumber = 65'535;
constexpr uint64_t kMore = 0x888888;  // of the six half bytes that the largest gap takes
constexpr uint64_t kMaxEntryHalves = 7;

// The half bytes of one block.
class Halves {
 public:
  explicit Halves(const uint8_t* bytes) : bytes_(bytes) { refill(); }

  uint8_t take_value() {
    if (num_held_ < kMaxEntryHalves) refill();
    const auto value = static_cast<uint8_t>(held_ & 15);
    drop(1);
    return value;
  }

  // After take_value(). More than kMaxNumber for what is no gap.
  uint32_t take_gap() {
    const uint64_t stops = ~held_ & kMore;
    if (stops == 0) return kMaxNumber + 1;
    const auto num_bits = static_cast<uint32_t>(__builtin_ctzll(stops)) + 1;
    uint64_t gap = held_ & ((uint64_t{1} << num_bits) - 1);
    drop(num_bits / 4);
    gap = (gap & 0x070707) | (gap & 0x707070) >> 1;
    return static_cast<uint32_t>((gap & 0x3F) | (gap & 0x3F00) >> 2 | (gap & 0x3F0000) >> 4);
  }

  uint64_t num_taken() const { return num_taken_; }

 private:
  void refill() {
    std::memcpy(&held_, bytes_ + num_taken_ / 2, sizeof held_);
    held_ >>= 4 * (num_taken_ % 2);
    num_held_ = 16 - num_taken_ % 2;
  }
  void drop(uint64_t num_halves) {
    held_ >>= 4 * num_halves;
    num_held_ -= num_halves;
    num_taken_ += num_halves;
  }

  const uint8_t* bytes_;
  uint64_t held_ = 0;
  uint64_t num_held_ = 0;
  uint64_t num_taken_ = 0;
};

}  // namespace

bool PackedList::find(uint32_t number, Entry* entry) const {
  // The last block that begins with this number or before it.
  uint32_t low = 0;
  for (uint32_t high = num_blocks_ > 0 ? num_blocks_ - 1 : 0; low < high;) {
    const uint32_t middle = (low + high + 1) / 2;
    if (first(middle) <= number) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  Halves halves(block(low));
  uint32_t index = low * kBlockEntries;
  const uint32_t index_end = low + 1 < num_blocks_ ? index + kBlockEntries : size_;
  uint32_t next = 0;  // the lowest number that may come
  for (; index < index_end; ++index) {
    const uint8_t value = halves.take_value();
    const bool is_first_of_later = low > 0 && index == low * kBlockEntries;
    const uint32_t found = is_first_of_later ? first(low) : next + halves.take_gap();
    if (found >= number) {
      *entry = {index, value};
      return found == number;
    }
    next = found + 1;
  }
  return false;
}

const uint8_t* PackedList::check(const uint8_t* bytes, const uint8_t* end, uint32_t limit,
                                 std::vector<uint16_t>* numbers) {
  const uint8_t* at = bytes;
  if (at == end) return nullptr;
  const uint32_t size = read_packed_number(&at);
  const uint32_t num_blocks = (size + kBlockEntries - 1) / kBlockEntries;
  if (size == 0 || size > limit || static_cast<size_t>(end - at) < header_bytes(num_blocks))
    return nullptr;
  const PackedList list(bytes);
  uint32_t next = 0;
  for (uint32_t block = 0; block < num_blocks; ++block) {
    const uint8_t* const begin = list.block(block);
    const uint8_t* const block_end = block + 1 < num_blocks ? list.block(block + 1) : list.end();
    if (block_end < begin || block_end > end) return nullptr;
    Halves halves(begin);
    const uint32_t first_index = block * kBlockEntries;
    for (uint32_t i = first_index; i < size && i < first_index + kBlockEntries; ++i) {
      halves.take_value();
      const bool is_first_of_later = block > 0 && i == first_index;
      if (is_first_of_later && list.first(block) < next) return nullptr;
      const uint32_t number = is_first_of_later ? list.first(block) : next + halves.take_gap();
      if (number >= limit || halves.num_taken() > 2 * static_cast<size_t>(block_end - begin))
        return nullptr;
      next = number + 1;
      if (numbers != nullptr) numbers->push_back(static_cast<uint16_t>(number));
    }
    if ((halves.num_taken() + 1) / 2 != static_cast<size_t>(block_end - begin)) return nullptr;
  }
  return list.end();
}

}  // namespace galago
