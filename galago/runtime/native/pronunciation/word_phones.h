// From one spoken word to phones: dictionary, endings, parts, network, letters.
#ifndef GALAGO_NATIVE_PRONUNCIATION_WORD_PHONES_H_
#define GALAGO_NATIVE_PRONUNCIATION_WORD_PHONES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pronunciation/g2p.h"
#include "pronunciation/pronunciations.h"
#include "text/spoken_words.h"

namespace galago {

// Looks words up, in this order: in the dictionary, in the sense that its neighbours give it; as a
// listed word with a regular ending ('s, -s, -ed, -ing); in its parts where it has a hyphen; as the
// network reads its letters; letter by letter. A word with a letter always has phones.
class WordPhones {
 public:
  // `g2p` may be null: unknown words are then spelled. Throws Error (GALAGO_E_CORRUPT) where the
  // two have different alphabets or the dictionary lacks what the rules need (letters "a." to
  // "z.", "the", the phones of endings).
  WordPhones(const Pronunciations& dictionary, const G2p* g2p);

  // Appends rows of the voice's alphabet for words[i]. Counts words that the dictionary does not
  // know. The reading of an unknown word is kept while this object lives, up to a bound.
  void append(const std::vector<SpokenWord>& words, size_t i, std::vector<uint8_t>* phones);

  size_t num_unknown() const { return num_unknown_; }
  uint8_t row(std::string_view phone) const;  // throws Error (GALAGO_E_CORRUPT) where there is none

 private:
  using Phones = std::vector<uint8_t>;
  Phones listed(std::string_view word) const;
  Phones letter(char letter) const;
  Phones derived(std::string_view word) const;
  Phones with_ending(Phones stem, std::string_view ending) const;
  Phones read_letters(std::string_view word);
  Phones word(std::string_view word);
  bool is_vowel(uint8_t phone) const { return is_vowel_[phone]; }

  const Pronunciations& dictionary_;
  const G2p* g2p_;
  std::vector<bool> is_vowel_, is_voiceless_, is_sibilant_;  // of each row
  std::vector<uint8_t> row_of_g2p_;
  uint8_t s_, z_, t_, d_, ih0_, ng_;
  std::map<std::string, Phones, std::less<>> read_;
  size_t num_unknown_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_PRONUNCIATION_WORD_PHONES_H_
