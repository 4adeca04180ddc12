// Running text to spoken words: numbers, dates, units, abbreviations, spelled letters, symbols.
//
//     "Dr. Grey's R2-D2 cost $5.50 at 7:30 pm!"
//     doctor grey's R two D two cost five dollars and fifty cents at seven thirty P M !
//
// Each rule reads one token or a few (see text_tokens.h); the first that fits wins: dates, times,
// numbers, addresses, abbreviations, roman numerals behind a name or a heading, words. No input is
// an error, and a token that holds a letter or a digit never becomes silence.
#ifndef GALAGO_NATIVE_TEXT_TEXT_NORMALIZER_H_
#define GALAGO_NATIVE_TEXT_TEXT_NORMALIZER_H_

#include <functional>
#include <string_view>

#include "text/plain_text.h"
#include "text/spoken_words.h"

namespace galago {

// Whether the dictionary holds a lower-case word.
using IsWord = std::function<bool(std::string_view)>;

// Appends the words of `text`.
void normalize_text(const PlainText& text, const IsWord& is_word, SpokenWords* out);

// How a <say-as> wants its text read. false: the text does not fit, and nothing was appended.
enum class SayAs { kCharacters, kCardinal, kOrdinal, kDigits, kTime, kDate, kTelephone };
bool say_as(SayAs how, std::string_view format, const PlainText& text, SpokenWords* out);

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_TEXT_NORMALIZER_H_
