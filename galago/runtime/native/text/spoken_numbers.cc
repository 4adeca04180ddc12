#include "text/spoken_numbers.h"

#include <cstdint>

namespace galago {
namespace {

constexpr const char* kOnes[] = {"zero",    "one",     "two",       "three",    "four",
                                 "five",    "six",     "seven",     "eight",    "nine",
                                 "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                 "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
constexpr const char* kTens[] = {"",      "",      "twenty",  "thirty", "forty",
                                 "fifty", "sixty", "seventy", "eighty", "ninety"};

struct Scale {
  unsigned long long size;
  const char* name;
};
constexpr Scale kScales[] = {{1'000'000'000'000, "trillion"},
                             {1'000'000'000, "billion"},
                             {1'000'000, "million"},
                             {1'000, "thousand"},
                             {100, "hundred"}};
constexpr size_t kMaxNamedDigits = 15;
constexpr unsigned long long kUnnamed = 1'000'000'000'000'000;

std::string_view without_leading_zeros(std::string_view digits) {
  while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);
  return digits;
}

void append(const char* word, std::string* words) {
  if (!words->empty()) words->push_back(' ');
  *words += word;
}

void append_cardinal(unsigned long long value, std::string* words) {
  for (const Scale& scale : kScales) {
    if (value < scale.size) continue;
    append_cardinal(value / scale.size, words);
    append(scale.name, words);
    value %= scale.size;
    if (value == 0) return;
  }
  if (value < 20) return append(kOnes[value], words);
  append(kTens[value / 10], words);
  if (value % 10 != 0) append(kOnes[value % 10], words);
}

std::string cardinal_words(unsigned long long value) {
  std::string words;
  append_cardinal(value, &words);
  return words;
}

std::string ordinal_words(unsigned long long value) {
  static constexpr const char* kIrregular[][2] = {
      {"one", "first"},    {"two", "second"}, {"three", "third"},   {"five", "fifth"},
      {"eight", "eighth"}, {"nine", "ninth"}, {"twelve", "twelfth"}};
  std::string words = cardinal_words(value);
  const size_t space = words.rfind(' ');
  const size_t last = space == std::string::npos ? 0 : space + 1;
  for (const auto& [cardinal, ordinal] : kIrregular)
    if (words.compare(last, std::string::npos, cardinal) == 0)
      return words.substr(0, last) + ordinal;
  if (words.back() == 'y') return words.substr(0, words.size() - 1) + "ieth";
  return words + "th";
}

}  // namespace

unsigned long long number_value(std::string_view digits) {
  digits = without_leading_zeros(digits);
  if (digits.size() > kMaxNamedDigits) return kUnnamed;
  unsigned long long value = 0;
  for (const char digit : digits) value = 10 * value + static_cast<unsigned>(digit - '0');
  return value;
}

void say_cardinal(std::string_view digits, SpokenWords* out) {
  const unsigned long long value = number_value(digits);
  if (value >= kUnnamed) return say_digits(digits, out);
  out->add_words(cardinal_words(value));
}

void say_ordinal(std::string_view digits, SpokenWords* out) {
  const unsigned long long value = number_value(digits);
  if (value >= kUnnamed) return say_digits(digits, out);
  out->add_words(ordinal_words(value));
}

void say_digits(std::string_view digits, SpokenWords* out) {
  for (const char digit : digits)
    if (digit >= '0' && digit <= '9') out->add_word(kOnes[digit - '0']);
}

void say_decimal(std::string_view whole, std::string_view fraction, SpokenWords* out) {
  say_cardinal(whole.empty() ? "0" : whole, out);
  if (fraction.empty()) return;
  out->add_word("point");
  say_digits(fraction, out);
}

std::string year_words(std::string_view four_digits) {
  const unsigned long long year = number_value(four_digits);
  const unsigned long long century = year / 100, rest = year % 100;
  if (year < 1000 || year > 9999 || (year % 1000 < 10)) return cardinal_words(year);
  std::string words = cardinal_words(century);
  if (rest == 0) {
    append("hundred", &words);
  } else {
    if (rest < 10) append("oh", &words);
    append_cardinal(rest, &words);
  }
  return words;
}

void say_year(std::string_view four_digits, SpokenWords* out) {
  out->add_words(year_words(four_digits));
}

void say_fraction(std::string_view numerator, std::string_view denominator, SpokenWords* out) {
  const unsigned long long over = number_value(numerator), under = number_value(denominator);
  say_cardinal(numerator, out);
  const bool is_plural = over != 1;
  const bool has_name = under >= 2 && under <= 99;
  if (!has_name && under != 100 && under != 1000) {
    out->add_word("over");
    return say_cardinal(denominator, out);
  }
  if (under == 2) return out->add_word(is_plural ? "halves" : "half");
  if (under == 4) return out->add_word(is_plural ? "quarters" : "quarter");
  std::string words = ordinal_words(under);
  if (under == 100 || under == 1000) words.erase(0, 4);  // "one hundredth"
  out->add_words(is_plural ? words + "s" : words);
}

void say_model_number(std::string_view digits, SpokenWords* out) {
  if (digits.size() > 4 || digits[0] == '0') return say_digits(digits, out);
  if (digits.size() == 4) return say_year(digits, out);
  const bool ends_in_hundred = digits.size() == 3 && digits.substr(1) == "00";
  if (digits.size() < 3 || ends_in_hundred) return say_cardinal(digits, out);
  out->add_word(kOnes[digits[0] - '0']);
  if (digits[1] == '0') out->add_word("oh");
  say_cardinal(digits.substr(1), out);
}

std::string plural_number(std::string words) {
  if (words.back() == 'y') return words.substr(0, words.size() - 1) + "ies";
  return words + (words.back() == 'x' ? "es" : "s");
}

int roman_value(std::string_view text) {
  struct Numeral {
    int value;
    const char* letters;
  };
  static constexpr Numeral kNumerals[] = {
      {1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"},
      {40, "XL"},  {10, "X"},   {9, "IX"},  {5, "V"},    {4, "IV"},  {1, "I"}};
  int value = 0;
  std::string_view rest = text;
  for (const Numeral& numeral : kNumerals) {
    const std::string_view letters = numeral.letters;
    for (; rest.substr(0, letters.size()) == letters; rest.remove_prefix(letters.size()))
      value += numeral.value;
  }
  if (!rest.empty() || value > 3999) return 0;
  std::string shortest;
  int left = value;
  for (const Numeral& numeral : kNumerals)
    for (; left >= numeral.value; left -= numeral.value) shortest += numeral.letters;
  return shortest == text ? value : 0;
}

}  // namespace galago
