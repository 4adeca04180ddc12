#include "pronunciation/pronunciations.h"

#include <algorithm>
#include <cstring>

#include "base/byte_reader.h"

namespace galago {
namespace {

constexpr char kName[] = "pronunciations";
constexpr uint32_t kVersion = 1;
constexpr size_t kWordsInBlock = 16;
constexpr uint32_t kMaxWords = 4'000'000;
constexpr uint32_t kMaxBytes = 256u << 20;
constexpr size_t kMaxWordBytes = 255;

#define CORRUPT(...) fail(GALAGO_E_CORRUPT, "pronunciations: " __VA_ARGS__)

uint32_t u32_at(const uint8_t* b) {
  return static_cast<uint32_t>(b[0]) | static_cast<uint32_t>(b[1]) << 8 |
         static_cast<uint32_t>(b[2]) << 16 | static_cast<uint32_t>(b[3]) << 24;
}

// One entry of checked bytes.
struct Entry {
  size_t num_shared;
  std::string_view suffix;
  PhoneSpan phones;
  const uint8_t* next;
};

Entry entry_at(const uint8_t* at) {
  Entry entry;
  entry.num_shared = at[0];
  entry.suffix = {reinterpret_cast<const char*>(at + 2), at[1]};
  at += 2 + entry.suffix.size();
  entry.phones = {at + 1, at[0]};
  entry.next = at + 1 + entry.phones.count;
  return entry;
}

}  // namespace

std::unique_ptr<const Pronunciations> Pronunciations::parse(std::shared_ptr<const void> owner,
                                                            const void* bytes, size_t num_bytes) {
  ByteReader reader(bytes, num_bytes, kName);
  if (std::memcmp(reader.take(4), "GPRN", 4) != 0) CORRUPT("does not begin with \"GPRN\"");
  const uint32_t version = reader.u32();
  if (version != kVersion)
    fail(GALAGO_E_UNSUPPORTED, "pronunciations: version %u, this library reads %u", version,
         kVersion);
  std::unique_ptr<Pronunciations> result(new Pronunciations());
  result->owner_ = std::move(owner);
  result->num_words_ = reader.u32_in("the number of words", 1, kMaxWords);
  const size_t num_blocks = (result->num_words_ + kWordsInBlock - 1) / kWordsInBlock;
  result->num_blocks_ = reader.u32_in("the number of blocks", static_cast<uint32_t>(num_blocks),
                                      static_cast<uint32_t>(num_blocks));
  const uint32_t num_phones = reader.u32_in("the number of phones", 1, 255);
  const uint32_t names_bytes = reader.u32_in("the size of the names", 2, 4096);
  result->entries_bytes_ = reader.u32_in("the size of the entries", 1, kMaxBytes);
  result->phones_ = reader.names(num_phones, names_bytes);
  result->block_offsets_ = reader.take(4 * num_blocks);
  result->entries_ = reader.take(result->entries_bytes_);
  reader.expect_end();
  result->check_entries();
  return result;
}

// After this every walk over the entries stays inside, and a search finds what is there.
void Pronunciations::check_entries() const {
  ByteReader reader(entries_, entries_bytes_, kName);
  std::string before;
  for (size_t i = 0; i < num_words_; ++i) {
    if (i % kWordsInBlock == 0) {
      const size_t offset = entries_bytes_ - reader.left();
      if (u32_at(block_offsets_ + 4 * (i / kWordsInBlock)) != offset)
        CORRUPT("block %zu does not begin at byte %zu", i / kWordsInBlock, offset);
    }
    const uint8_t* head = reader.take(2);
    const size_t num_shared = head[0];
    const bool is_first = i % kWordsInBlock == 0;
    if (num_shared > before.size() || (is_first && num_shared != 0))
      CORRUPT("word %zu shares %zu letters with the one before", i, num_shared);
    const char* suffix = reinterpret_cast<const char*>(reader.take(head[1]));
    const std::string word = before.substr(0, num_shared) + std::string(suffix, head[1]);
    if (word.empty() || word.size() > kMaxWordBytes)
      CORRUPT("word %zu has %zu letters", i, word.size());
    if (i > 0 && word <= before) CORRUPT("word %zu is not behind the one before", i);
    const size_t num_phones = reader.take(1)[0];
    if (num_phones == 0) CORRUPT("word %zu has no phones", i);
    const uint8_t* phones = reader.take(num_phones);
    for (size_t k = 0; k < num_phones; ++k)
      if (phones[k] >= phones_.size()) CORRUPT("word %zu has phone %d", i, phones[k]);
    before = word;
  }
  reader.expect_end();
}

const uint8_t* Pronunciations::block(size_t index) const {
  return entries_ + u32_at(block_offsets_ + 4 * index);
}

PhoneSpan Pronunciations::find(std::string_view word) const {
  // The last block whose first word is not behind the one that is looked for.
  size_t low = 0, high = num_blocks_;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (entry_at(block(middle)).suffix <= word) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) return {};
  const size_t first_word = (low - 1) * kWordsInBlock;
  const size_t num_words = std::min(kWordsInBlock, num_words_ - first_word);
  const uint8_t* at = block(low - 1);
  // How many letters of the last entry agree with the word: a longer shared part cannot help.
  size_t num_matching = 0;
  for (size_t i = 0; i < num_words; ++i) {
    const Entry entry = entry_at(at);
    at = entry.next;
    if (entry.num_shared > num_matching) continue;
    if (entry.num_shared < num_matching) return {};  // already behind the word
    const std::string_view rest = word.substr(num_matching);
    size_t same = 0;
    while (same < rest.size() && same < entry.suffix.size() && rest[same] == entry.suffix[same])
      ++same;
    if (same == rest.size() && same == entry.suffix.size()) return entry.phones;
    num_matching += same;
  }
  return {};
}

}  // namespace galago
