// Makes the bytes of packed lists; see packed_list.h.
#ifndef GALAGO_TESTS_NATIVE_BASE_PACKED_LIST_BUILDER_H_
#define GALAGO_TESTS_NATIVE_BASE_PACKED_LIST_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

using Bytes = std::vector<uint8_t>;

inline void append(Bytes* out, const Bytes& more) {
  out->insert(out->end(), more.begin(), more.end());
}

inline Bytes packed_number(size_t number) {
  Bytes out;
  for (; number >= 128; number >>= 7) out.push_back(static_cast<uint8_t>(number % 128 + 128));
  out.push_back(static_cast<uint8_t>(number));
  return out;
}

// Numbers and their values, at least one.
inline Bytes packed_list(const std::map<uint16_t, uint8_t>& entries) {
  constexpr size_t kBlockEntries = 32;
  Bytes blocks, firsts, ends, halves;
  size_t index = 0, num_blocks = 0;
  int before = -1;
  const auto end_block = [&] {
    if (halves.size() % 2 == 1) halves.push_back(0);
    for (size_t i = 0; i < halves.size(); i += 2)
      blocks.push_back(static_cast<uint8_t>(halves[i] | halves[i + 1] << 4));
    halves.clear();
    append(&ends,
           {static_cast<uint8_t>(blocks.size() % 256), static_cast<uint8_t>(blocks.size() / 256)});
    ++num_blocks;
  };
  for (const auto& [number, value] : entries) {
    const bool begins_later_block = index > 0 && index % kBlockEntries == 0;
    if (begins_later_block) {
      end_block();
      append(&firsts, {static_cast<uint8_t>(number % 256), static_cast<uint8_t>(number / 256)});
    }
    halves.push_back(value);
    if (!begins_later_block) {
      int gap = number - before - 1;
      for (; gap >= 8; gap >>= 3) halves.push_back(static_cast<uint8_t>(gap % 8 + 8));
      halves.push_back(static_cast<uint8_t>(gap));
    }
    before = number;
    ++index;
  }
  end_block();
  if (num_blocks == 1) ends.resize(1);
  Bytes out = packed_number(entries.size());
  append(&out, ends);
  append(&out, firsts);
  append(&out, blocks);
  return out;
}

#endif  // GALAGO_TESTS_NATIVE_BASE_PACKED_LIST_BUILDER_H_
