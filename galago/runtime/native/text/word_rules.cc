#include "text/word_rules.h"

#include <algorithm>
#include <string>

#include "text/spoken_numbers.h"

namespace galago {
namespace {

template <size_t N>
bool is_among(std::string_view word, const std::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

// Words of two and three letters that stay words in capitals. "IT", "US", "WHO" are not among them:
// in capitals they are more often names.
constexpr std::string_view kShortWords[] = {
    "an",  "and", "any", "are", "as",  "at",  "be",  "but", "by",  "can", "day", "did",
    "do",  "eat", "few", "for", "get", "go",  "had", "has", "he",  "her", "him", "his",
    "how", "if",  "in",  "is",  "its", "job", "let", "low", "man", "may", "me",  "men",
    "my",  "new", "no",  "not", "now", "of",  "off", "old", "on",  "one", "or",  "our",
    "out", "own", "ram", "red", "rom", "say", "see", "she", "sim", "six", "so",  "sun",
    "ten", "the", "to",  "top", "try", "two", "up",  "use", "war", "was", "way", "we",
    "why", "yes", "yet", "you", "ok",  "pin", "gif", "big", "end", "all", "bad", "boy",
    "buy", "car", "cat", "dog", "key", "box", "bus", "hot", "ice", "run", "set", "sit"};

// Behind these a roman numeral is a number.
constexpr std::string_view kHeadings[] = {
    "act",   "appendix", "article", "bowl",   "book",  "chapter", "class", "episode", "figure",
    "grade", "level",    "part",    "phase",  "scene", "season",  "stage", "section", "table",
    "title", "type",     "unit",    "volume", "war",   "mark",    "round", "world"};

// Behind these it is the number of a sovereign.
constexpr std::string_view kSovereigns[] = {
    "alexander", "benedict",  "catherine", "charles",    "christian", "edward",
    "elizabeth", "ferdinand", "francis",   "frederick",  "george",    "gregory",
    "gustav",    "henry",     "innocent",  "ivan",       "james",     "john",
    "leo",       "leopold",   "louis",     "maximilian", "napoleon",  "nicholas",
    "otto",      "paul",      "peter",     "philip",     "pius",      "ramses",
    "richard",   "robert",    "rudolf",    "victoria",   "wilhelm",   "william"};

// Abbreviations before a name (abbreviations.h reads them).
constexpr std::string_view kTitles[] = {"mr",  "mrs",  "ms",  "dr",   "st", "prof", "rev", "hon",
                                        "gen", "col",  "maj", "capt", "lt", "sgt",  "gov", "sen",
                                        "rep", "pres", "mt",  "ft",   "vs", "e.g",  "i.e", "cf"};

bool has_vowel(std::string_view lower_case) {
  return lower_case.find_first_of("aeiouy") != std::string_view::npos;
}

// "CPUs", "CPU's" -> "CPU"; empty where the letters before the s are not all capitals.
std::string_view capitals_before_s(std::string_view text) {
  if (text.size() < 3 || text.back() != 's') return {};
  text.remove_suffix(1);
  if (text.back() == '\'') text.remove_suffix(1);
  return text.size() >= 2 && all_upper(text) ? text : std::string_view();
}

}  // namespace

void WordRules::begin_sentence(const TokenView& tokens, size_t i) {
  constexpr size_t kMaxTokens = 40;
  size_t num_words = 0, num_capitals = 0;
  for (size_t k = i; k < std::min(tokens.size(), i + kMaxTokens); ++k) {
    if (k > i && tokens[k].begins_sentence) break;
    if (tokens.core(k).size() < 2 || !all_letters(tokens.core(k))) continue;
    ++num_words;
    num_capitals += all_upper(tokens.core(k));
  }
  is_shouted_ = num_words >= 3 && 10 * num_capitals >= 7 * num_words;
}

bool WordRules::is_spelled(std::string_view text, Place place) const {
  const std::string word = lower(text);
  if (text.size() == 1) return place == Place::kAddress || (word != "a" && word != "i");
  if (!has_vowel(word) && !is_word_(word)) return true;
  if (place == Place::kAddress || !all_upper(text)) return false;
  const bool is_short_word = is_among(word, kShortWords) && place != Place::kInitials;
  if (is_shouted_) return !is_short_word && !is_word_(word) && text.size() <= 4;
  if (is_short_word) return false;
  if (text.size() <= 3) return true;
  return text.size() <= 5 && !is_word_(word);
}

void WordRules::spell(std::string_view letters, bool is_plural) {
  for (size_t i = 0; i < letters.size(); ++i)
    if (is_letter(letters[i]))
      out_->add_letter(to_lower(letters[i]), is_plural && i + 1 == letters.size());
}

void WordRules::say_word(std::string_view text, Place place) {
  while (!text.empty() && text.back() == '\'' && text.size() > 1 && text[text.size() - 2] != 's')
    text.remove_suffix(1);
  if (std::none_of(text.begin(), text.end(), is_letter)) return;
  const std::string word = lower(text);
  const bool is_capitalised = is_upper(text[0]);
  if (text == "A") {
    // The article begins sentences; elsewhere a capital A is a name: "plan A", "A4".
    if (place == Place::kSentenceBegin || is_shouted_) return out_->add_word("a", true);
    return out_->add_letter('a');
  }
  if (text == "I" && place == Place::kPiece) return out_->add_letter('i');
  const std::string_view capitals = capitals_before_s(text);
  if (!capitals.empty() && is_spelled(capitals, place) && !is_shouted_)
    return spell(capitals, true);
  if (is_spelled(text, place)) return spell(text, false);
  const bool is_mixed = text.size() > 2 && std::any_of(text.begin() + 1, text.end(), is_upper) &&
                        std::any_of(text.begin(), text.end(), is_lower);
  if (is_mixed && !is_word_(word)) return say_camel_case(text);
  out_->add_word(word, is_capitalised);
}

// "OpenAI" -> Open, AI; "HTMLFile" -> HTML, File; "iPhone" -> i, Phone.
void WordRules::say_camel_case(std::string_view text) {
  size_t begin = 0;
  for (size_t at = 1; at <= text.size(); ++at) {
    if (at < text.size()) {
      const bool rises = is_upper(text[at]) && !is_upper(text[at - 1]);
      const bool falls = is_upper(text[at]) && is_upper(text[at - 1]) && at + 1 < text.size() &&
                         is_lower(text[at + 1]);
      if (!rises && !falls) continue;
    }
    say_word(text.substr(begin, at - begin), Place::kPiece);
    begin = at;
  }
}

bool WordRules::say_dotted_letters(std::string_view core) {
  if (core.size() < 3 || core.size() > 23) return false;
  size_t num_short = 0, length = 0;
  for (size_t at = 0; at <= core.size(); ++at) {
    if (at < core.size() && core[at] != '.') {
      if (!is_letter(core[at])) return false;
      ++length;
      continue;
    }
    if (length == 0 || length > 2) return false;  // "Ph.D", "U.S"
    num_short += length == 1;
    length = 0;
  }
  if (num_short == 0 || core.find('.') == std::string_view::npos) return false;
  spell(core, false);
  return true;
}

bool WordRules::say_roman(const TokenView& tokens, size_t i) {
  const std::string_view core = tokens.core(i);
  if (i == 0 || core.size() > 8 || !all_upper(core)) return false;
  const int value = roman_value(core);
  if (value == 0 || tokens.follower(i - 1) != core || !is_upper(tokens.core(i - 1)[0]))
    return false;
  const std::string before = lower(tokens.core(i - 1));
  const std::string digits = std::to_string(value);
  if (is_among(before, kHeadings)) {
    say_cardinal(digits, out_);
    return true;
  }
  // "Henry V said": a lone I, V or X behind a first name may be an initial only with a full stop.
  if (is_among(before, kSovereigns) && value < 30 && core != "I" &&
      (core.size() > 1 || !tokens[i].has_period)) {
    out_->add_word("the");
    say_ordinal(digits, out_);
    return true;
  }
  return false;
}

bool WordRules::expects_name(std::string_view core) const {
  const std::string text = lower(core);
  return is_among(text, kTitles) || (core.size() == 1 && is_upper(core[0]));
}

}  // namespace galago
