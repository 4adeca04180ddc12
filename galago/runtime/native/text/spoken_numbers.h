// Digits as English words. Numbers are strings of ASCII digits, so that none is too long.
#ifndef GALAGO_NATIVE_TEXT_SPOKEN_NUMBERS_H_
#define GALAGO_NATIVE_TEXT_SPOKEN_NUMBERS_H_

#include <string>
#include <string_view>

#include "text/spoken_words.h"

namespace galago {

// "1204" -> one thousand two hundred four. Numbers of more than 15 digits are said digit by digit.
void say_cardinal(std::string_view digits, SpokenWords* out);

// "21" -> twenty first.
void say_ordinal(std::string_view digits, SpokenWords* out);

// "0417" -> zero four one seven.
void say_digits(std::string_view digits, SpokenWords* out);

// "3", "14" -> three point one four.
void say_decimal(std::string_view whole, std::string_view fraction, SpokenWords* out);

// "1984" -> nineteen eighty four; "2005" -> two thousand five; "1900" -> nineteen hundred.
void say_year(std::string_view four_digits, SpokenWords* out);

// "1" "2" -> one half; "3" "4" -> three quarters; "7" "120" -> seven over one hundred twenty.
void say_fraction(std::string_view numerator, std::string_view denominator, SpokenWords* out);

// A number inside a name, as in A320 or B12: in pairs where that is how it is said.
void say_model_number(std::string_view digits, SpokenWords* out);

// The cardinal as a string: "twenty one". For plurals such as "nineteen eighties".
std::string year_words(std::string_view four_digits);

// The plural of a spoken number: "eighty" -> "eighties", "six" -> "sixes".
std::string plural_number(std::string words);

// The value; one more than the largest that has a name where there are more digits.
unsigned long long number_value(std::string_view digits);

// "XIV" -> 14; 0 for what is no roman numeral in its shortest form, or above 3999.
int roman_value(std::string_view text);

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_SPOKEN_NUMBERS_H_
