// Numbers in running text, with the signs, units and money around them.
//
//     -5 °C        minus five degrees celsius         $5.50         five dollars and fifty cents
//     1,204.5      one thousand ... four point five   €3 million    three million euros
//     5-10 km      five to ten kilometers             555-0123      five five five, zero one two
//     three 2 1/2        two and a half                     the 1990s     the nineteen nineties
#ifndef GALAGO_NATIVE_TEXT_NUMBER_RULES_H_
#define GALAGO_NATIVE_TEXT_NUMBER_RULES_H_

#include <string_view>

#include "text/spoken_words.h"
#include "text/text_tokens.h"

namespace galago {

// Reads a number at token i, and what belongs to it: 0 tokens if there is none.
TokensRead say_number(const TokenView& tokens, size_t i, SpokenWords* out);

// Digits in groups, a short pause between two: "+1 415-555-0123".
void say_telephone(std::string_view text, SpokenWords* out);

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_NUMBER_RULES_H_
