// Words made of letters: read, spelled, split, or a roman numeral.
//
//     USB -> U S B     CPUs -> C P U's     YouTube -> youtube     OpenAI -> open A I
//     A.I. -> A I      pdf -> P D F        World War II -> ... two     Henry VIII -> ... the eighth
#ifndef GALAGO_NATIVE_TEXT_WORD_RULES_H_
#define GALAGO_NATIVE_TEXT_WORD_RULES_H_

#include <functional>
#include <string_view>

#include "text/spoken_words.h"
#include "text/text_tokens.h"

namespace galago {

class WordRules {
 public:
  // Where a run of letters stands decides what its capitals mean
  // (kInitials: beside an "&", as in AT&T).
  enum class Place { kText, kSentenceBegin, kPiece, kInitials, kAddress };

  WordRules(std::function<bool(std::string_view)> is_word, SpokenWords* out)
      : is_word_(std::move(is_word)), out_(out) {}

  // Whether the sentence that begins at token i is shouted: then capitals do not mean letters.
  void begin_sentence(const TokenView& tokens, size_t i);

  // Letters and apostrophes, at least one letter among them.
  void say_word(std::string_view text, Place place);

  // "A.I", "u.s.a", "p.m" (the last full stop is punctuation): false where it is none.
  bool say_dotted_letters(std::string_view core);

  // A roman numeral where it is safe: behind a heading or the name of a sovereign.
  bool say_roman(const TokenView& tokens, size_t i);

  // Whether a capitalised word behind this abbreviation is its name and begins no sentence.
  bool expects_name(std::string_view core) const;

 private:
  bool is_spelled(std::string_view text, Place place) const;
  void spell(std::string_view letters, bool is_plural);
  void say_camel_case(std::string_view text);

  std::function<bool(std::string_view)> is_word_;
  SpokenWords* out_;
  bool is_shouted_ = false;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_WORD_RULES_H_
