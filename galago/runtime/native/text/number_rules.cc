#include "text/number_rules.h"

#include <algorithm>
#include <string>

#include "text/date_time_rules.h"
#include "text/spoken_numbers.h"
#include "text/text_units.h"

namespace galago {
namespace {

bool is_dash(char c) { return c == '-' || c == kEnDash; }

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

size_t count_digits(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), is_digit));
}

// "1,204.50" at the beginning of a text.
struct Literal {
  std::string whole;          // without commas; empty in ".5"
  std::string_view fraction;  // without its point
  size_t length = 0;          // characters; 0: there is no number
  bool is_plain = true;       // neither commas nor a fraction

  bool is_one() const { return whole == "1" && fraction.empty(); }
  void say(SpokenWords* out) const {
    const bool is_code = whole.size() > 1 && whole[0] == '0' && is_plain;
    if (is_code) return say_digits(whole, out);
    say_decimal(whole, fraction, out);
  }
};

Literal parse_literal(std::string_view text) {
  Literal literal;
  size_t at = 0;
  while (at < text.size() && is_digit(text[at])) ++at;
  literal.whole = text.substr(0, at);
  while (at > 0 && literal.whole.size() <= 18 && at < text.size() && text[at] == ',' &&
         all_digits(text.substr(at + 1, 3)) && text.substr(at + 1, 3).size() == 3 &&
         (at + 4 >= text.size() || !is_digit(text[at + 4]))) {
    literal.whole += text.substr(at + 1, 3);
    literal.is_plain = false;
    at += 4;
  }
  size_t end = at;
  if (end + 1 < text.size() && text[end] == '.' && is_digit(text[end + 1])) {
    ++end;
    while (end < text.size() && is_digit(text[end])) ++end;
    literal.fraction = text.substr(at + 1, end - at - 1);
    literal.is_plain = false;
  }
  literal.length = end;
  return literal;
}

bool is_year_context(const TokenView& tokens, size_t i) {
  if (tokens[i].is_in_brackets) return true;
  const std::string_view next = tokens.follower(i);
  if (is_one_of(next, {"BC", "AD", "BCE", "CE"})) return true;
  if (i == 0 || tokens[i].begins_sentence)
    return is_one_of(next, {"was", "is", "will", "saw", "brought"});
  const std::string before = lower(tokens.core(i - 1));
  return !month_name(before).empty() ||
         is_one_of(before,
                   {"in",     "since",  "by",     "from",   "until", "till", "year",     "before",
                    "after",  "during", "around", "circa",  "early", "late", "mid",      "spring",
                    "summer", "autumn", "fall",   "winter", "born",  "died", "copyright"});
}

// -- telephone numbers --------------------------------------------------------

constexpr std::string_view kTelephoneCharacters = "0123456789-.()";

bool is_telephone_part(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kTelephoneCharacters) == std::string_view::npos &&
         count_digits(text) > 0;
}

// Lengths of groups of digits parted by one separator: "415-555-0123" -> "3-3-4".
std::string shape(std::string_view text, char separator) {
  std::string found;
  size_t run = 0;
  for (const char c : text) {
    if (is_digit(c)) {
      ++run;
    } else if (c == separator && run > 0 && run < 10) {
      found += static_cast<char>('0' + run);
      found += '-';
      run = 0;
    } else {
      return "";
    }
  }
  return run == 0 || run > 9 ? "" : found + static_cast<char>('0' + run);
}

// How many tokens from i on are one telephone number; 0: they are none.
size_t telephone_tokens(const TokenView& tokens, size_t i) {
  const std::string_view core = tokens.core(i);
  if (core[0] == '+' && is_telephone_part(core.substr(1))) {
    size_t num_tokens = 1, num_digits = count_digits(core);
    while (true) {
      const size_t next = i + num_tokens;
      if (next >= tokens.size() || tokens[next - 1].mark != ' ' ||
          !is_telephone_part(tokens.core(next)) ||
          num_digits + count_digits(tokens.core(next)) > 15)
        break;
      num_digits += count_digits(tokens.core(next));
      ++num_tokens;
    }
    return num_digits >= 7 ? num_tokens : 0;
  }
  if (tokens[i].is_in_brackets && core.size() == 3 && all_digits(core) && i + 1 < tokens.size() &&
      is_one_of(shape(tokens.core(i + 1), '-'), {"3-4"}))
    return 2;
  if (!is_telephone_part(core)) return 0;
  if (is_one_of(shape(core, '-'),
                {"3-4", "3-3-4", "1-3-3-4", "3-2-4", "2-3-4", "4-3-3", "3-4-4"}) ||
      is_one_of(shape(core, '.'), {"3-3-4"}))
    return 1;
  const bool is_round = core.size() > 3 && core.substr(core.size() - 3) == "000";
  return all_digits(core) && (core.size() == 10 || core.size() == 11) && !is_round ? 1 : 0;
}

// -- money and units ----------------------------------------------------------

struct Amount {
  Literal literal;
  std::string_view scale;  // "million", or empty
};

void say_money(const Amount& amount, const Currency& currency, SpokenWords* out) {
  const Literal& literal = amount.literal;
  const bool has_minor =
      literal.fraction.size() == 2 && amount.scale.empty() && currency.minor_plural[0] != '\0';
  if (!has_minor) {
    literal.say(out);
    if (!amount.scale.empty()) out->add_word(amount.scale);
    const bool is_one = literal.is_one() && amount.scale.empty();
    return out->add_words(is_one ? currency.singular : currency.plural);
  }
  const bool has_major = number_value(literal.whole.empty() ? "0" : literal.whole) != 0;
  const unsigned long long minor = number_value(literal.fraction);
  if (has_major || minor == 0) {
    say_cardinal(literal.whole.empty() ? "0" : literal.whole, out);
    out->add_words(literal.whole == "1" ? currency.singular : currency.plural);
  }
  if (minor == 0) return;
  if (has_major) out->add_word("and");
  say_cardinal(literal.fraction, out);
  out->add_words(minor == 1 ? currency.minor_singular : currency.minor_plural);
}

// One number token being read: what remains of its core, and how many tokens are used up.
class NumberReader {
 public:
  NumberReader(const TokenView& tokens, size_t i, SpokenWords* out)
      : tokens_(tokens), i_(i), out_(out), rest_(tokens.core(i)) {}

  size_t read() {
    if (const size_t num_tokens = telephone_tokens(tokens_, i_)) {
      begin(num_tokens);
      for (size_t k = 0; k < num_tokens; ++k) {
        say_telephone(tokens_.core(i_ + k), out_);
        if (k + 1 < num_tokens) out_->add_mark(',');
      }
      return num_tokens;
    }
    if (rest_[0] == '\'') rest_.remove_prefix(1);  // "'80s"
    if (rest_.size() > 1 && (is_dash(rest_[0]) || rest_[0] == '+')) {
      sign_ = rest_[0] == '+' ? "plus" : "minus";
      rest_.remove_prefix(1);
    } else if (rest_.size() > 1 && rest_[0] == '~') {
      sign_ = "about";
      rest_.remove_prefix(1);
    }
    size_t sign_bytes = 0;
    if (const Currency* currency = leading_currency(rest_, &sign_bytes)) {
      rest_.remove_prefix(sign_bytes);
      return read_money(*currency);
    }
    if (read_dotted()) return num_tokens_;
    literal_ = parse_literal(rest_);
    if (literal_.length == 0) return 0;
    rest_.remove_prefix(literal_.length);
    return rest_.empty() ? read_alone() : read_with_rest();
  }

 private:
  void begin(size_t num_tokens) {
    num_tokens_ = num_tokens;
    out_->set_origin(tokens_.source(i_, num_tokens), tokens_.style(i_));
    if (!sign_.empty()) out_->add_word(sign_);
  }

  std::string_view next(size_t num_used) const { return tokens_.follower(i_ + num_used - 1); }

  // "$5", "$5.50", "$5M", "$3 million", "$5-10"
  size_t read_money(const Currency& currency) {
    Amount amount;
    amount.literal = parse_literal(rest_);
    if (amount.literal.length == 0) return 0;
    rest_.remove_prefix(amount.literal.length);
    if (rest_.empty()) {
      amount.scale = scale_word(next(1), false);
      begin(amount.scale.empty() ? 1 : 2);
      say_money(amount, currency, out_);
      return num_tokens_;
    }
    if (is_dash(rest_[0])) {
      size_t sign_bytes = 0;
      std::string_view upper = rest_.substr(1);
      if (leading_currency(upper, &sign_bytes) != nullptr) upper.remove_prefix(sign_bytes);
      Amount second;
      second.literal = parse_literal(upper);
      if (second.literal.length == 0) return 0;
      if (second.literal.length < upper.size()) {
        second.scale = scale_word(upper.substr(second.literal.length), true);
        if (second.scale.empty()) return 0;
        begin(1);
      } else {
        second.scale = scale_word(next(1), false);
        begin(second.scale.empty() ? 1 : 2);
      }
      amount.literal.say(out_);
      out_->add_word("to");
      say_money(second, currency, out_);
      return num_tokens_;
    }
    amount.scale = scale_word(rest_, true);
    if (amount.scale.empty()) return 0;
    begin(1);
    say_money(amount, currency, out_);
    return num_tokens_;
  }

  // "1.2.3" and "192.168.0.1"
  bool read_dotted() {
    if (std::count(rest_.begin(), rest_.end(), '.') < 2 || !is_telephone_part(rest_) ||
        rest_.find_first_of("-()") != std::string_view::npos ||
        rest_.find("..") != std::string_view::npos || rest_[0] == '.' || rest_.back() == '.')
      return false;
    begin(1);
    bool is_first = true;
    while (!rest_.empty()) {
      const size_t dot = std::min(rest_.find('.'), rest_.size());
      if (!is_first) out_->add_word("dot");
      is_first = false;
      say_model_number(rest_.substr(0, dot), out_);
      rest_.remove_prefix(std::min(dot + 1, rest_.size()));
    }
    return true;
  }

  // Nothing else in the token; units, scales and fractions may follow.
  size_t read_alone() {
    const std::string_view follower = next(1);
    const std::string unit = unit_words(follower, literal_.is_one(), false);
    if (!unit.empty()) {
      begin(2);
      literal_.say(out_);
      out_->add_words(unit);
      return num_tokens_;
    }
    if (const Currency* currency = currency_code(follower)) {
      begin(2);
      say_money({literal_, {}}, *currency, out_);
      return num_tokens_;
    }
    if (const size_t num_tokens = read_mixed_fraction(follower)) return num_tokens;
    begin(1);
    if (literal_.is_plain && is_year(literal_.whole) && is_year_context(tokens_, i_)) {
      say_year(literal_.whole, out_);
    } else {
      literal_.say(out_);
    }
    return num_tokens_;
  }

  // "2 1/2": the number and a fraction as the next token.
  size_t read_mixed_fraction(std::string_view follower) {
    const size_t slash = follower.find('/');
    if (!literal_.is_plain || slash == std::string_view::npos) return 0;
    const std::string_view over = follower.substr(0, slash), under = follower.substr(slash + 1);
    if (!all_digits(over) || !all_digits(under) || number_value(over) >= number_value(under))
      return 0;
    begin(2);
    literal_.say(out_);
    out_->add_word("and");
    if (over == "1" && (under == "2" || under == "4")) {
      out_->add_words(under == "2" ? "a half" : "a quarter");
    } else {
      say_fraction(over, under, out_);
    }
    return num_tokens_;
  }

  size_t read_with_rest() {
    const std::string ending = lower(rest_);
    if (literal_.fraction.empty() && is_one_of(ending, {"st", "nd", "rd", "th"})) {
      begin(1);
      say_ordinal(literal_.whole, out_);
      return num_tokens_;
    }
    if (literal_.is_plain && is_one_of(ending, {"s", "'s"}) && read_decade()) return num_tokens_;
    const std::string unit = unit_words(rest_, literal_.is_one(), true);
    if (!unit.empty() && rest_ != "K") {
      begin(1);
      literal_.say(out_);
      out_->add_words(unit);
      return num_tokens_;
    }
    if (is_one_of(rest_, {"k", "M", "bn"})) {
      begin(1);
      literal_.say(out_);
      out_->add_word(scale_word(rest_, true));
      return num_tokens_;
    }
    if (rest_.size() == 1) {
      size_t sign_bytes = 0;
      const std::string_view core = tokens_.core(i_);
      if (const Currency* currency = trailing_currency(core, &sign_bytes)) {
        begin(1);
        say_money({literal_, {}}, *currency, out_);
        return num_tokens_;
      }
      if (rest_ == "+") {
        begin(1);
        literal_.say(out_);
        out_->add_word("plus");
        return num_tokens_;
      }
    }
    if (is_dash(rest_[0])) return read_range();
    return read_pair();
  }

  bool read_decade() {
    const std::string& digits = literal_.whole;
    const bool is_decade = digits.back() == '0' && (digits.size() == 2 || is_year(digits));
    if (!is_decade || digits == "00") return false;
    begin(1);
    std::string words;
    if (digits.size() == 4) {
      words = year_words(digits);
    } else {
      static constexpr const char* kDecades[] = {"",      "ten",   "twenty",  "thirty", "forty",
                                                 "fifty", "sixty", "seventy", "eighty", "ninety"};
      words = kDecades[digits[0] - '0'];
    }
    out_->add_words(plural_number(words));
    return true;
  }

  // "5-10", "1990-1995", "5-10km", "5-10 km"
  size_t read_range() {
    const std::string_view second_text = rest_.substr(1);
    const Literal second = parse_literal(second_text);
    if (second.length == 0) return 0;
    const std::string_view behind = second_text.substr(second.length);
    std::string unit =
        behind.empty() ? unit_words(next(1), false, false) : unit_words(behind, false, true);
    if (!behind.empty() && unit.empty()) return 0;
    begin(behind.empty() && !unit.empty() ? 2 : 1);
    const bool are_years = literal_.is_plain && is_year(literal_.whole) && second.is_plain &&
                           (is_year(second.whole) || second.whole.size() == 2) && unit.empty();
    if (are_years) {
      say_year(literal_.whole, out_);
      out_->add_word("to");
      second.whole.size() == 4 ? say_year(second.whole, out_) : second.say(out_);
    } else {
      literal_.say(out_);
      out_->add_word("to");
      second.say(out_);
      out_->add_words(unit);
    }
    return num_tokens_;
  }

  // "3/4", "24/7", "16:9", "2x4"
  size_t read_pair() {
    const std::string_view second = rest_.substr(1);
    if (!literal_.is_plain || !all_digits(second)) return 0;
    const std::string& first = literal_.whole;
    const char joint = rest_[0];
    if (joint == '/' && first == "24" && second == "7") {
      begin(1);
      say_cardinal(first, out_);
      say_cardinal(second, out_);
    } else if (joint == '/') {
      begin(1);
      say_fraction(first, second, out_);
    } else if (joint == ':' || joint == 'x' || joint == kTimesSign) {
      begin(1);
      say_cardinal(first, out_);
      out_->add_word(joint == ':' ? "to" : "by");
      say_cardinal(second, out_);
    } else {
      return 0;
    }
    return num_tokens_;
  }

  const TokenView& tokens_;
  const size_t i_;
  SpokenWords* out_;
  std::string_view rest_;
  std::string_view sign_;
  Literal literal_;
  size_t num_tokens_ = 0;
};

}  // namespace

TokensRead say_number(const TokenView& tokens, size_t i, SpokenWords* out) {
  TokensRead read;
  read.num_tokens = NumberReader(tokens, i, out).read();
  return read;
}

void say_telephone(std::string_view text, SpokenWords* out) {
  if (!text.empty() && text[0] == '+') out->add_word("plus");
  bool is_group_open = false;
  for (const char c : text) {
    if (is_digit(c)) {
      say_digits(std::string_view(&c, 1), out);
    } else if (is_group_open) {
      out->add_mark(',');
    }
    is_group_open = is_digit(c);
  }
}

}  // namespace galago
