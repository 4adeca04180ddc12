// The pronouncing dictionary of the voice: words and their phones, searched where they lie.
//
//   header    "GPRN", version, numbers of words, blocks and phones, bytes of names and of entries
//   names     of the phones, a line each: the alphabet of the voice
//   blocks    where each block of 16 words begins among the entries
//   entries   sorted; each: letters shared with the word before (0 where a block begins), number of
//             other letters, these, number of phones, these
//
// A word that is said in two ways has entries such as "read/past" beside "read" (heteronyms.h).
#ifndef GALAGO_NATIVE_PRONUNCIATION_PRONUNCIATIONS_H_
#define GALAGO_NATIVE_PRONUNCIATION_PRONUNCIATIONS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace galago {

struct PhoneSpan {
  const uint8_t* first = nullptr;  // rows of the voice's alphabet
  size_t count = 0;
  const uint8_t* begin() const { return first; }
  const uint8_t* end() const { return first + count; }
  bool empty() const { return count == 0; }
};

class Pronunciations {
 public:
  // `owner` keeps `bytes`, which are not copied. Every entry is checked once. Throws Error:
  // GALAGO_E_CORRUPT says what is wrong, GALAGO_E_UNSUPPORTED that the version is unknown here.
  static std::unique_ptr<const Pronunciations> parse(std::shared_ptr<const void> owner,
                                                     const void* bytes, size_t num_bytes);

  // The phones of a lower-case word; empty where it is not listed. Does not allocate.
  PhoneSpan find(std::string_view word) const;

  size_t num_words() const { return num_words_; }
  const std::vector<std::string>& phones() const { return phones_; }

 private:
  Pronunciations() = default;
  const uint8_t* block(size_t index) const;
  void check_entries() const;

  std::shared_ptr<const void> owner_;
  std::vector<std::string> phones_;
  const uint8_t* block_offsets_ = nullptr;
  const uint8_t* entries_ = nullptr;
  size_t entries_bytes_ = 0;
  size_t num_words_ = 0;
  size_t num_blocks_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_PRONUNCIATION_PRONUNCIATIONS_H_
