// What is packed is found, and nothing else; what is no list is refused.
#include <map>
#include <random>
#include <vector>

#include "base/packed_list.h"
#include "base/packed_list_builder.h"
#include "check.h"

namespace {

using galago::PackedList;

constexpr size_t kSlackBytes = 8;

const uint8_t* checked(const Bytes& bytes, uint32_t limit, std::vector<uint16_t>* numbers) {
  return PackedList::check(bytes.data(), bytes.data() + bytes.size() - kSlackBytes, limit, numbers);
}

bool is_list(const Bytes& bytes, uint32_t limit) {
  return checked(bytes, limit, nullptr) == bytes.data() + bytes.size() - kSlackBytes;
}

Bytes with_slack(Bytes bytes) {
  bytes.resize(bytes.size() + kSlackBytes, 0xFF);
  return bytes;
}

std::map<uint16_t, uint8_t> some_entries(std::mt19937* random, size_t size, uint32_t limit) {
  std::map<uint16_t, uint8_t> entries;
  while (entries.size() < size)
    entries[static_cast<uint16_t>((*random)() % limit)] = static_cast<uint8_t>((*random)() % 16);
  return entries;
}

TEST(every_number_is_found_with_its_value_and_no_other) {
  std::mt19937 random(1);
  for (const size_t size : {1, 2, 31, 32, 33, 64, 65, 200, 3000}) {
    for (const uint32_t limit : {3001u, 20'000u, 65'536u}) {
      const auto entries = some_entries(&random, size, limit);
      const Bytes bytes = with_slack(packed_list(entries));
      std::vector<uint16_t> numbers;
      CHECK(checked(bytes, limit, &numbers) == bytes.data() + bytes.size() - kSlackBytes);
      CHECK_EQ(numbers.size(), size);
      const PackedList list(bytes.data());
      CHECK_EQ(list.size(), size);
      CHECK(list.end() == bytes.data() + bytes.size() - kSlackBytes);
      uint32_t index = 0;
      PackedList::Entry entry{};
      for (uint32_t number = 0; number < limit; ++number) {
        const auto listed = entries.find(static_cast<uint16_t>(number));
        CHECK_EQ(list.find(number, &entry), listed != entries.end());
        if (listed == entries.end()) continue;
        CHECK_EQ(numbers[index], number);
        CHECK_EQ(entry.index, index++);
        CHECK_EQ(entry.value, listed->second);
      }
    }
  }
}

TEST(neighbours_and_the_largest_numbers_are_found) {
  std::map<uint16_t, uint8_t> entries;
  for (uint16_t number = 0; number < 70; ++number) entries[number] = number % 16;
  entries[65'535] = 15;
  const Bytes bytes = with_slack(packed_list(entries));
  CHECK(is_list(bytes, 65'536));
  CHECK(!is_list(bytes, 65'535));
  PackedList::Entry entry{};
  CHECK(PackedList(bytes.data()).find(65'535, &entry));
  CHECK_EQ(entry.index, 70u);
  CHECK_EQ(entry.value, 15);
  CHECK(!PackedList(bytes.data()).find(70, &entry));
}

TEST(what_is_too_short_or_counts_wrong_is_no_list) {
  std::mt19937 random(2);
  for (const size_t size : {1, 40}) {
    Bytes bytes = with_slack(packed_list(some_entries(&random, size, 1000)));
    CHECK(is_list(bytes, 1000));
    for (size_t cut = bytes.size(); cut > kSlackBytes; --cut)
      CHECK(checked(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(cut - 1)),
                    1000, nullptr) == nullptr);
    CHECK(checked(bytes, static_cast<uint32_t>(size - 1), nullptr) == nullptr);
    ++bytes[0];
    CHECK(!is_list(bytes, 1000));
    bytes[0] = 0;
    CHECK(!is_list(bytes, 1000));
  }
}

// Read or refused; under a sanitizer, without leaving the bytes.
TEST(no_change_of_a_byte_leads_out_of_a_list) {
  std::mt19937 random(3);
  for (const size_t size : {5, 70}) {
    const Bytes whole = with_slack(packed_list(some_entries(&random, size, 2000)));
    size_t num_read = 0, num_refused = 0;
    for (size_t at = 0; at + kSlackBytes < whole.size(); ++at) {
      for (int change = 1; change < 256; ++change) {
        Bytes bytes = whole;
        bytes[at] = static_cast<uint8_t>(bytes[at] ^ change);
        if (checked(bytes, 2000, nullptr) == nullptr) {
          ++num_refused;
          continue;
        }
        PackedList::Entry entry{};
        for (uint32_t number = 0; number < 2000; ++number)
          PackedList(bytes.data()).find(number, &entry);
        ++num_read;
      }
    }
    CHECK(num_read > 100);  // values, small gaps
    CHECK(num_refused > 100);
  }
}

}  // namespace
