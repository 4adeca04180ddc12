#include "text/abbreviations.h"

#include <string>

namespace galago {
namespace {

enum class Needs {
  kNothing,     // is read with and without a full stop
  kPeriod,      // without it, it is another word
  kName,        // a full stop, and a capitalised word behind it: a title
  kNameBefore,  // a full stop, and a capitalised word before it
  kNumber,      // a full stop, and a number behind it
};

struct Abbreviation {
  const char* text;  // lower case, without the last full stop
  const char* words;
  Needs needs;
};

constexpr Abbreviation kAbbreviations[] = {
    {"mr", "mister", Needs::kNothing},
    {"mrs", "missus", Needs::kNothing},
    {"ms", "miz", Needs::kName},
    {"dr", "doctor", Needs::kName},
    {"dr", "drive", Needs::kNameBefore},
    {"st", "saint", Needs::kName},
    {"st", "street", Needs::kNameBefore},
    {"prof", "professor", Needs::kPeriod},
    {"rev", "reverend", Needs::kName},
    {"hon", "honorable", Needs::kName},
    {"gen", "general", Needs::kName},
    {"col", "colonel", Needs::kName},
    {"maj", "major", Needs::kName},
    {"capt", "captain", Needs::kName},
    {"lt", "lieutenant", Needs::kName},
    {"sgt", "sergeant", Needs::kName},
    {"gov", "governor", Needs::kName},
    {"sen", "senator", Needs::kName},
    {"rep", "representative", Needs::kName},
    {"pres", "president", Needs::kName},
    {"mt", "mount", Needs::kName},
    {"ft", "fort", Needs::kName},
    {"jr", "junior", Needs::kNothing},
    {"sr", "senior", Needs::kNameBefore},
    {"esq", "esquire", Needs::kPeriod},
    {"inc", "incorporated", Needs::kPeriod},
    {"ltd", "limited", Needs::kNothing},
    {"corp", "corporation", Needs::kPeriod},
    {"co", "company", Needs::kNameBefore},
    {"bros", "brothers", Needs::kPeriod},
    {"ave", "avenue", Needs::kNameBefore},
    {"blvd", "boulevard", Needs::kNothing},
    {"rd", "road", Needs::kNameBefore},
    {"ln", "lane", Needs::kNameBefore},
    {"hwy", "highway", Needs::kNothing},
    {"apt", "apartment", Needs::kNumber},
    {"dept", "department", Needs::kNothing},
    {"univ", "university", Needs::kPeriod},
    {"approx", "approximately", Needs::kNothing},
    {"est", "established", Needs::kNumber},
    {"etc", "et cetera", Needs::kNothing},
    {"vs", "versus", Needs::kNothing},
    {"e.g", "for example", Needs::kNothing},
    {"eg", "for example", Needs::kPeriod},
    {"i.e", "that is", Needs::kNothing},
    {"ie", "that is", Needs::kPeriod},
    {"cf", "compare", Needs::kPeriod},
    {"ca", "circa", Needs::kNumber},
    {"no", "number", Needs::kNumber},
    {"nos", "numbers", Needs::kNumber},
    {"vol", "volume", Needs::kNumber},
    {"fig", "figure", Needs::kNumber},
    {"figs", "figures", Needs::kNumber},
    {"eq", "equation", Needs::kNumber},
    {"ch", "chapter", Needs::kNumber},
    {"sec", "section", Needs::kNumber},
    {"p", "page", Needs::kNumber},
    {"pp", "pages", Needs::kNumber},
    {"ext", "extension", Needs::kNumber},
    {"tel", "telephone", Needs::kPeriod},
    {"temp", "temperature", Needs::kPeriod},
    {"max", "maximum", Needs::kPeriod},
    {"min", "minimum", Needs::kPeriod},
    {"avg", "average", Needs::kNothing},
    {"misc", "miscellaneous", Needs::kNothing},
    {"mon", "monday", Needs::kNumber},
    {"tue", "tuesday", Needs::kNumber},
    {"tues", "tuesday", Needs::kPeriod},
    {"wed", "wednesday", Needs::kNumber},
    {"thu", "thursday", Needs::kNumber},
    {"thur", "thursday", Needs::kPeriod},
    {"thurs", "thursday", Needs::kPeriod},
    {"fri", "friday", Needs::kNumber},
    {"sat", "saturday", Needs::kNumber},
    {"sun", "sunday", Needs::kNumber},
    {"w/", "with", Needs::kNothing},
    {"w/o", "without", Needs::kNothing},
    {"b/c", "because", Needs::kNothing},
};

bool is_capitalised(std::string_view word) {
  return word.size() > 1 && is_upper(word[0]) && is_lower(word[1]);
}

bool fits(const TokenView& tokens, size_t i, Needs needs) {
  const bool has_period = tokens[i].has_period;
  const std::string_view next = tokens.follower(i, true);
  switch (needs) {
    case Needs::kNothing:
      return true;
    case Needs::kPeriod:
      return has_period;
    case Needs::kName:
      return has_period && !next.empty() && is_upper(next[0]);
    case Needs::kNameBefore:
      return has_period && i > 0 && is_capitalised(tokens.core(i - 1));
    case Needs::kNumber:
      return has_period && !next.empty() && is_digit(next[0]);
  }
  return false;
}

}  // namespace

std::string_view abbreviation_words(const TokenView& tokens, size_t i) {
  const std::string text = lower(tokens.core(i));
  if (text.size() > 6) return {};
  // "Main St. Louis" is rarer than "Main St. It was": a name before wins where a sentence begins.
  const bool is_after_name = i > 0 && tokens[i - 1].mark == ' ' && !tokens[i - 1].begins_sentence &&
                             is_capitalised(tokens.core(i - 1));
  for (const Abbreviation& abbreviation : kAbbreviations) {
    if (text != abbreviation.text || !fits(tokens, i, abbreviation.needs)) continue;
    if (abbreviation.needs == Needs::kName && is_after_name && (text == "dr" || text == "st"))
      continue;
    return abbreviation.words;
  }
  return {};
}

}  // namespace galago
