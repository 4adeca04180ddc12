#include "text/spoken_words.h"

#include <algorithm>
#include <cstring>

namespace galago {
namespace {

// From weak to strong, the order of the alphabet of the voice.
constexpr char kMarks[] = " ,.?!";

// A longer word is no word; in pieces it fits into a segment and costs no more than others.
constexpr size_t kMaxLetters = 48;

constexpr uint32_t kMaxPauseMs = 60'000;

}  // namespace

SpokenWord& SpokenWords::append(SpokenWord::Kind kind, std::string_view text) {
  SpokenWord& word = words_.emplace_back();
  word.kind = kind;
  word.text = text;
  word.source = source_;
  word.style = style_;
  return word;
}

void SpokenWords::add_word(std::string_view lower_case_text, bool is_capitalised) {
  for (; !lower_case_text.empty(); is_capitalised = false) {
    const std::string_view piece = lower_case_text.substr(0, kMaxLetters);
    append(SpokenWord::Kind::kWord, piece).is_capitalised = is_capitalised;
    lower_case_text.remove_prefix(piece.size());
  }
}

void SpokenWords::add_words(std::string_view texts) {
  while (!texts.empty()) {
    const size_t space = std::min(texts.find(' '), texts.size());
    add_word(texts.substr(0, space));
    texts.remove_prefix(std::min(space + 1, texts.size()));
  }
}

void SpokenWords::add_letter(char letter, bool is_plural) {
  std::string text(1, letter);
  if (is_plural) text += "'s";
  append(SpokenWord::Kind::kLetter, text);
}

void SpokenWords::add_phones(std::string_view phones) { append(SpokenWord::Kind::kPhones, phones); }

void SpokenWords::add_mark(char mark) {
  if (words_.empty()) return;
  char& present = words_.back().mark;
  if (std::strchr(kMarks, mark) > std::strchr(kMarks, present)) present = mark;
}

void SpokenWords::add_pause(uint32_t pause_ms) {
  uint32_t& present = words_.empty() ? leading_pause_ms_ : words_.back().pause_ms;
  present = std::min(kMaxPauseMs, present + std::min(kMaxPauseMs, pause_ms));
}

void SpokenWords::remove_mark() {
  if (words_.empty()) return;
  words_.back().mark = ' ';
}

}  // namespace galago
