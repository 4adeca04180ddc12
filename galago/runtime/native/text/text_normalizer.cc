#include "text/text_normalizer.h"

#include <algorithm>
#include <string>
#include <vector>

#include "text/abbreviations.h"
#include "text/address_rules.h"
#include "text/date_time_rules.h"
#include "text/number_rules.h"
#include "text/spoken_numbers.h"
#include "text/text_tokens.h"
#include "text/word_rules.h"

namespace galago {
namespace {

// What a symbol is called in running text; nullptr: nothing.
const char* symbol_words(char symbol, char before, char after) {
  switch (symbol) {
    case '&':
      return "and";
    case '@':
      return "at";
    case '+':
      return "plus";
    case '=':
      return "equals";
    case '%':
      return "percent";
    case '<':
      return "less than";
    case '>':
      return "greater than";
    case '\\':
      return "backslash";
    case '$':
      return "dollar";
    case '~':
      return "about";
    case '#':
      return is_letter(before) ? "sharp" : is_letter(after) ? "hashtag" : "number";
    case '*':
      return is_digit(before) && is_digit(after) ? "times" : nullptr;
    case '/':
      return is_digit(before) && is_digit(after) ? "over" : nullptr;
    case '^':
      return is_digit(after) ? (after == '2' || after == '3' ? nullptr : "to the power of")
                             : nullptr;
    case '.':
      return is_letter(after) || is_digit(after) ? "dot" : nullptr;
    case '-':
    case kEnDash:
      return is_digit(after) ? (is_digit(before) ? nullptr : "minus") : nullptr;
    case kTimesSign:
      return "times";
    case kDegreeSign:
      return "degrees";
    case kMicroSign:
      return "micro";
    case kEuroSign:
      return "euro";
    case kPoundSign:
      return "pound";
    case kYenSign:
      return "yen";
    case kCentSign:
      return "cent";
    default:
      return nullptr;
  }
}

bool is_word_character(char c) { return is_letter(c) || c == '\''; }

class Normalizer {
 public:
  Normalizer(const PlainText& text, const IsWord& is_word, SpokenWords* out)
      : split_(split_tokens(text)), tokens_(text, split_), words_(is_word, out), out_(out) {}

  void run() {
    for (size_t i = 0; i < tokens_.size();) {
      if (tokens_[i].begins_paragraph) out_->add_mark('.');
      if (tokens_[i].is_opened) out_->add_mark(',');
      if (i == 0 || tokens_[i].begins_sentence) words_.begin_sentence(tokens_, i);
      const TokensRead read = read_at(i);
      add_mark_behind(i + read.num_tokens - 1, read.ends_in_abbreviation);
      i += read.num_tokens;
    }
  }

 private:
  TokensRead read_at(size_t i) {
    const std::string_view core = tokens_.core(i);
    TokensRead read = say_date(tokens_, i, out_);
    if (read.num_tokens == 0) read = say_time(tokens_, i, out_);
    if (read.num_tokens == 0) read = say_number(tokens_, i, out_);
    if (read.num_tokens > 0) return read;
    out_->set_origin(tokens_.source(i, 1), tokens_.style(i));
    if (is_address(core)) {
      say_address(core);
      return {1, false};
    }
    const std::string_view abbreviation = abbreviation_words(tokens_, i);
    if (!abbreviation.empty()) {
      out_->add_words(abbreviation);
      return {1, tokens_[i].has_period};
    }
    if (words_.say_roman(tokens_, i)) return {1, false};
    if (words_.say_dotted_letters(core)) return {1, tokens_[i].has_period};
    // "J. Smith": an initial's full stop ends no sentence.
    if (core.size() == 1 && is_upper(core[0]) && core != "I" && tokens_[i].has_period &&
        !tokens_.follower(i, true).empty()) {
      out_->add_letter(to_lower(core[0]));
      return {1, true};
    }
    say_pieces(core, i);
    return {1, false};
  }

  void add_mark_behind(size_t i, bool is_abbreviation) {
    const TextToken& token = tokens_[i];
    char mark = token.mark;
    if (is_abbreviation && token.has_period && mark == '.') {
      const bool is_last = i + 1 >= tokens_.size();
      const bool ends_sentence =
          is_last || tokens_[i + 1].begins_paragraph ||
          (is_upper(tokens_.core(i + 1)[0]) && !words_.expects_name(tokens_.core(i)));
      if (!ends_sentence) mark = token.mark_without_period;
    }
    out_->add_mark(mark);
  }

  void say_address(std::string_view text) {
    text = spoken_part_of_address(text);
    for (size_t at = 0; at < text.size();) {
      size_t end = at;
      if (is_letter(text[at])) {
        while (end < text.size() && is_letter(text[end])) ++end;
        words_.say_word(text.substr(at, end - at), WordRules::Place::kAddress);
      } else if (is_digit(text[at])) {
        while (end < text.size() && is_digit(text[end])) ++end;
        say_model_number(text.substr(at, end - at), out_);
      } else {
        if (const char* words = address_symbol(text[at])) out_->add_words(words);
        ++end;
      }
      at = end;
    }
  }

  // Runs of letters, of digits, and symbols: "H2O", "C++", "and/or", "x=5".
  void say_pieces(std::string_view core, size_t token) {
    for (size_t at = 0; at < core.size();) {
      size_t end = at;
      const char before = at > 0 ? core[at - 1] : ' ';
      if (is_word_character(core[at])) {
        while (end < core.size() && is_word_character(core[end])) ++end;
        const bool is_whole = at == 0 && end == core.size();
        const bool begins = at == 0 && tokens_[token].begins_sentence;
        const bool is_initials = before == '&' || (end < core.size() && core[end] == '&');
        words_.say_word(core.substr(at, end - at), is_initials ? WordRules::Place::kInitials
                                                   : !is_whole ? WordRules::Place::kPiece
                                                   : begins    ? WordRules::Place::kSentenceBegin
                                                               : WordRules::Place::kText);
      } else if (is_digit(core[at])) {
        while (end < core.size() && is_digit(core[end])) ++end;
        say_digit_piece(core, at, &end);
      } else {
        const char after = at + 1 < core.size() ? core[at + 1] : ' ';
        if (const char* words = symbol_words(core[at], before, after)) out_->add_words(words);
        if (core[at] == ',' || core[at] == ';' || core[at] == ':') out_->add_mark(',');
        if (core[at] == '?' || core[at] == '!') out_->add_mark(core[at]);
        ++end;
      }
      at = end;
    }
  }

  void say_digit_piece(std::string_view core, size_t begin, size_t* end) {
    const std::string_view digits = core.substr(begin, *end - begin);
    const bool is_power = begin > 0 && core[begin - 1] == '^' && (digits == "2" || digits == "3");
    if (is_power) return out_->add_word(digits == "2" ? "squared" : "cubed");
    size_t fraction_end = *end;
    if (*end + 1 < core.size() && core[*end] == '.' && is_digit(core[*end + 1]))
      for (fraction_end = *end + 1; fraction_end < core.size() && is_digit(core[fraction_end]);)
        ++fraction_end;
    if (fraction_end > *end) {
      say_decimal(digits, core.substr(*end + 1, fraction_end - *end - 1), out_);
      *end = fraction_end;
    } else {
      const bool is_in_name = begin > 0 && is_letter(core[begin - 1]);
      is_in_name ? say_model_number(digits, out_) : say_cardinal(digits, out_);
    }
  }

  const std::vector<TextToken> split_;
  const TokenView tokens_;
  WordRules words_;
  SpokenWords* out_;
};

std::string without_spaces(const PlainText& text) {
  std::string kept;
  for (const char c : text.characters)
    if (c != ' ' && c != '\n') kept.push_back(c);
  return kept;
}

void say_character(char c, SpokenWords* out) {
  if (is_letter(c)) return out->add_letter(to_lower(c));
  if (is_digit(c)) return say_digits(std::string_view(&c, 1), out);
  const char* words = address_symbol(c);
  if (words == nullptr) words = symbol_words(c, ' ', ' ');
  if (words != nullptr) out->add_words(words);
}

}  // namespace

void normalize_text(const PlainText& text, const IsWord& is_word, SpokenWords* out) {
  Normalizer(text, is_word, out).run();
}

bool say_as(SayAs how, std::string_view format, const PlainText& text, SpokenWords* out) {
  const std::string kept = without_spaces(text);
  if (kept.empty()) return false;
  out->set_origin({text.sources.front().begin_byte, text.sources.back().end_byte}, text.styles[0]);
  const bool is_negative = kept[0] == '-' && kept.size() > 1;
  std::string digits;
  for (const char c : kept)
    if (is_digit(c)) digits.push_back(c);
  const bool is_number =
      !digits.empty() && kept.find_first_not_of("0123456789,", is_negative ? 1 : 0) == kept.npos;
  switch (how) {
    case SayAs::kCharacters:
      for (const char c : kept) say_character(c, out);
      return true;
    case SayAs::kCardinal:
      if (!is_number) return false;
      if (is_negative) out->add_word("minus");
      say_cardinal(digits, out);
      return true;
    case SayAs::kOrdinal:
      if (!is_number || is_negative) return false;
      say_ordinal(digits, out);
      return true;
    case SayAs::kDigits:
      if (digits.empty() || kept.find_first_not_of("0123456789.,-+()/") != kept.npos) return false;
      say_digits(digits, out);
      return true;
    case SayAs::kTime:
      return say_time_text(kept, out);
    case SayAs::kDate:
      return say_date_text(kept, format, out);
    case SayAs::kTelephone:
      if (digits.empty() || kept.find_first_not_of("0123456789.,-+()/") != kept.npos) return false;
      say_telephone(text.characters, out);
      return true;
  }
  return false;
}

}  // namespace galago
