// Spoken words as one line, for tables: letters as capitals, marks behind their words.
#ifndef GALAGO_TESTS_NATIVE_TEXT_SPOKEN_TEXT_H_
#define GALAGO_TESTS_NATIVE_TEXT_SPOKEN_TEXT_H_

#include <string>

#include "text/spoken_words.h"
#include "text/text_normalizer.h"

inline std::string line_of(const galago::SpokenWords& words) {
  std::string line;
  for (const galago::SpokenWord& word : words.all()) {
    if (!line.empty()) line += ' ';
    std::string text = word.text;
    if (word.kind == galago::SpokenWord::Kind::kLetter)
      text[0] = static_cast<char>(text[0] - 'a' + 'A');
    line += word.kind == galago::SpokenWord::Kind::kPhones ? "[" + text + "]" : text;
    if (word.mark != ' ') line += std::string(" ") + word.mark;
    if (word.pause_ms > 0) line += " <" + std::to_string(word.pause_ms) + " ms>";
  }
  return line;
}

// A small dictionary: what the rules ask whether it is a word.
inline bool is_common_word(std::string_view word) {
  for (const std::string_view known :
       {"nasa",  "stop",  "help",  "note",  "youtube", "mcdonald's", "open",
        "house", "covid", "radar", "shut",  "door",    "front",      "danger",
        "this",  "that",  "hello", "world", "it",      "us"})
    if (word == known) return true;
  return false;
}

inline std::string spoken_line(std::string_view utf8) {
  galago::PlainText text;
  galago::append_plain(utf8, 0, 0, &text);
  galago::SpokenWords words;
  galago::normalize_text(text, is_common_word, &words);
  return line_of(words);
}

#endif  // GALAGO_TESTS_NATIVE_TEXT_SPOKEN_TEXT_H_
