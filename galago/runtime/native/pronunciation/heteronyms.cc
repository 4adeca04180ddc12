#include "pronunciation/heteronyms.h"

#include <algorithm>

namespace galago {
namespace {

template <size_t N>
bool is_among(std::string_view word, const std::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

// A verb in its plain form stands behind these.
constexpr std::string_view kBeforeVerb[] = {
    "to",        "will",   "would",  "can",    "could",  "should",   "must",
    "may",       "might",  "shall",  "do",     "does",   "did",      "don't",
    "doesn't",   "didn't", "won't",  "can't",  "cannot", "couldn't", "wouldn't",
    "shouldn't", "let's",  "please", "i",      "you",    "we",       "they",
    "i'll",      "you'll", "he'll",  "she'll", "it'll",  "we'll",    "they'll",
    "i'd",       "you'd",  "we'd",   "they'd", "who",    "help",     "and"};
constexpr std::string_view kAuxiliaries[] = {
    "to",      "will",   "would", "can",    "could",  "should",   "must",
    "may",     "might",  "shall", "do",     "does",   "did",      "don't",
    "doesn't", "didn't", "won't", "can't",  "cannot", "couldn't", "let's",
    "i'll",    "you'll", "he'll", "she'll", "it'll",  "we'll",    "they'll"};
// A noun, perhaps with an adjective between, stands behind these.
constexpr std::string_view kBeforeNoun[] = {
    "a",   "an",  "the",   "this",  "that",  "these", "those", "my",    "your",   "his",
    "her", "its", "our",   "their", "some",  "any",   "no",    "each",  "every",  "another",
    "of",  "in",  "on",    "at",    "with",  "by",    "for",   "from",  "per",    "under",
    "one", "two", "three", "which", "whose", "new",   "old",   "first", "second", "last"};
constexpr std::string_view kHave[] = {"have",   "has",   "had",     "having",  "i've",
                                      "you've", "we've", "they've", "haven't", "hasn't",
                                      "hadn't", "he's",  "she's",   "it's"};
constexpr std::string_view kBe[] = {
    "is",     "are",     "was", "were",   "be",    "been",    "being", "am",  "isn't", "aren't",
    "wasn't", "weren't", "i'm", "you're", "we're", "they're", "get",   "got", "gets"};
constexpr std::string_view kThirdPerson[] = {
    "he", "she", "it", "who", "nobody", "everyone", "everybody", "somebody", "someone", "one"};
constexpr std::string_view kAdverbs[] = {"also",    "always", "never", "not",       "really",
                                         "already", "just",   "often", "ever",      "only",
                                         "still",   "now",    "then",  "sometimes", "usually"};
constexpr std::string_view kAfterImperative[] = {
    "a",   "an",  "the",  "this", "that",  "these", "those", "my",   "your",
    "his", "her", "its",  "our",  "their", "it",    "them",  "me",   "him",
    "us",  "all", "some", "up",   "down",  "off",   "out",   "every"};
constexpr std::string_view kBeforeAdjective[] = {
    "very", "so", "too", "how", "as", "more", "most", "quite", "rather", "seem", "seems", "stay"};
constexpr std::string_view kOfMetal[] = {"pipe",      "pipes",     "paint",   "paints",
                                         "acid",      "poisoning", "battery", "batteries",
                                         "shielding", "solder"};
constexpr std::string_view kWhereLived[] = {"in",   "on", "at",    "with", "here", "there", "alone",
                                            "near", "by", "under", "next", "far",  "off"};

class Context {
 public:
  Context(const std::vector<SpokenWord>& words, size_t i) : words_(words), i_(i) {
    begins_ = i == 0 || std::string_view(".?!").find(words[i - 1].mark) != std::string_view::npos;
    size_t back = i;
    while (!begins_ && back > 0 && is_among(words[back - 1].text, kAdverbs)) --back;
    if (!begins_ && back > 0 && words[back - 1].mark == ' ') before_ = words[back - 1].text;
    if (i + 1 < words.size() && words[i].mark == ' ') after_ = words[i + 1].text;
  }

  std::string_view word() const { return words_[i_].text; }
  std::string_view before() const { return before_; }
  std::string_view after() const { return after_; }
  bool is_imperative() const {
    return (begins_ || before_ == "please") && is_among(after_, kAfterImperative);
  }
  bool is_plain_verb() const { return is_among(before_, kAuxiliaries) || is_imperative(); }

 private:
  const std::vector<SpokenWord>& words_;
  size_t i_;
  bool begins_ = false;
  std::string_view before_, after_;
};

// Words with rules of their own; empty for the others.
std::string_view own_sense(const Context& here) {
  const std::string_view word = here.word(), before = here.before(), after = here.after();
  if (word == "read") {
    const bool is_past = is_among(before, kHave) || is_among(before, kBe) || before == "he" ||
                         before == "she" || before == "it";
    return is_past ? "past" : "verb";
  }
  if (word == "lead") return is_among(after, kOfMetal) || before == "of" ? "metal" : "verb";
  if (word == "used") return after == "to" && !is_among(before, kBe) ? "habit" : "verb";
  if (word == "live") {
    const bool is_adjective = is_among(before, kBe) || is_among(before, kBeforeNoun) ||
                              before == "go" || before == "going" || before == "goes";
    return is_adjective ? "adjective" : "verb";
  }
  if (word == "lives") {
    const bool is_verb = is_among(before, kThirdPerson) ||
                         (is_among(after, kWhereLived) && !is_among(before, kBeforeNoun));
    return is_verb ? "verb" : "noun";
  }
  if (word == "close") {
    const bool is_adjective = is_among(before, kBe) || is_among(before, kBeforeAdjective) ||
                              is_among(before, kBeforeNoun) || after == "to";
    return is_adjective && !here.is_plain_verb() ? "adjective" : "verb";
  }
  if (word == "wind" || word == "tear" || word == "bow")
    return here.is_plain_verb() ? "verb" : "noun";
  if (word == "wound") return after == "up" || after == "down" ? "past" : "noun";
  return {};
}

}  // namespace

std::string_view sense_of(const std::vector<SpokenWord>& words, size_t i) {
  const Context here(words, i);
  const std::string_view own = own_sense(here);
  if (!own.empty()) return own;
  if (here.is_plain_verb()) return "verb";
  if (is_among(here.before(), kBeforeNoun)) return "noun";
  if (is_among(here.before(), kBeforeAdjective)) return "adjective";
  if (is_among(here.before(), kHave) || is_among(here.before(), kBe)) return "past";
  return is_among(here.before(), kBeforeVerb) ? "verb" : "";
}

}  // namespace galago
