// The words of a text as they are spoken, with the marks between them.
#ifndef GALAGO_NATIVE_TEXT_SPOKEN_WORDS_H_
#define GALAGO_NATIVE_TEXT_SPOKEN_WORDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/plain_text.h"

namespace galago {

struct SpokenWord {
  enum class Kind : uint8_t {
    kWord,    // text: a-z and apostrophes, and hyphens as the dictionary has them
    kLetter,  // text: one letter, said by its name; "b's" for its plural
    kPhones,  // text: phones with a space between two
  };
  Kind kind = Kind::kWord;
  std::string text;
  SourceRange source;
  uint16_t style = 0;
  // What stands behind it: ' ' nothing, ',' '.' '?' '!' as in the alphabet of the voice.
  char mark = ' ';
  uint32_t pause_ms = 0;  // a pause that was asked for behind it, at least
  bool is_capitalised = false;
};

// Collects words. What is added takes the source and style that were set last.
class SpokenWords {
 public:
  void set_origin(SourceRange source, uint16_t style) { source_ = source, style_ = style; }

  void add_word(std::string_view lower_case_text, bool is_capitalised = false);
  void add_words(std::string_view texts);  // with one space between two
  void add_letter(char letter, bool is_plural = false);
  void add_phones(std::string_view phones);

  // Of two marks behind one word the stronger counts; before the first word there is none.
  void add_mark(char mark);
  void add_pause(uint32_t pause_ms);  // pauses behind one word add up
  void remove_mark();

  uint32_t leading_pause_ms() const { return leading_pause_ms_; }
  const std::vector<SpokenWord>& all() const { return words_; }
  size_t size() const { return words_.size(); }

 private:
  SpokenWord& append(SpokenWord::Kind kind, std::string_view text);

  std::vector<SpokenWord> words_;
  SourceRange source_;
  uint16_t style_ = 0;
  uint32_t leading_pause_ms_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_SPOKEN_WORDS_H_
