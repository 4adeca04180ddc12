// Units of measure and of money, and how they are said.
#ifndef GALAGO_NATIVE_TEXT_TEXT_UNITS_H_
#define GALAGO_NATIVE_TEXT_TEXT_UNITS_H_

#include <string>
#include <string_view>

namespace galago {

// "km/h" -> "kilometers per hour", "m^2" -> "square meters"; empty for what is no unit. Units whose
// sign is also a word or a plain letter count only where they are written to the number ("5A").
std::string unit_words(std::string_view sign, bool is_one, bool is_attached);

struct Currency {
  const char* singular;
  const char* plural;
  const char* minor_singular;  // empty: it has none
  const char* minor_plural;
};

// Of "$", "US$" or one of the signs of plain_text.h at the beginning of `text`; *num_bytes is the
// sign's length. nullptr where there is none.
const Currency* leading_currency(std::string_view text, size_t* num_bytes);
const Currency* trailing_currency(std::string_view text, size_t* num_bytes);
const Currency* currency_code(std::string_view text);  // "USD", "EUR"

// "million" for M, mn and million; empty for what is no scale. `is_money` allows short ones.
std::string_view scale_word(std::string_view text, bool is_money);

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_TEXT_UNITS_H_
