// Tokens: what stands between spaces, without the punctuation around it.
//
//     He said: "7:30 p.m., (or so)."
//     [He] [said ,] [7:30] [p.m ,] [or ... opened] [so .]
#ifndef GALAGO_NATIVE_TEXT_TEXT_TOKENS_H_
#define GALAGO_NATIVE_TEXT_TEXT_TOKENS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/plain_text.h"

namespace galago {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
inline bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
inline bool is_letter(char c) { return is_lower(c) || is_upper(c); }
inline char to_lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

bool all_digits(std::string_view text);   // and at least one
bool all_letters(std::string_view text);  // and at least one
bool all_upper(std::string_view text);    // letters, and at least one
std::string lower(std::string_view text);

struct TextToken {
  std::string_view core;           // never empty
  size_t first_character;          // of the core, in the text
  char mark = ' ';                 // of the punctuation behind it, as SpokenWord::mark
  char mark_without_period = ' ';  // the same where the full stop belongs to an abbreviation
  bool has_period = false;         // a single full stop is part of what closes it
  bool is_ellipsis = false;
  bool is_opened = false;       // an opening bracket stands before it: a short pause
  bool is_in_brackets = false;  // opened and closed
  bool begins_paragraph = false;
  bool begins_sentence = false;
};

// Tokens of a text, in order; their cores are views into it.
std::vector<TextToken> split_tokens(const PlainText& text);

// The tokens as the rules see them.
class TokenView {
 public:
  TokenView(const PlainText& text, const std::vector<TextToken>& tokens)
      : text_(text), tokens_(tokens) {}

  size_t size() const { return tokens_.size(); }
  const TextToken& operator[](size_t i) const { return tokens_[i]; }

  // Empty where there is no such token.
  std::string_view core(size_t i) const {
    return i < tokens_.size() ? tokens_[i].core : std::string_view();
  }
  // The core of the token behind i if nothing but space, or the full stop of an abbreviation where
  // that is allowed, parts the two; empty otherwise.
  std::string_view follower(size_t i, bool after_period = false) const;

  // What words made of the tokens from `first` on come from, and how they are spoken.
  SourceRange source(size_t first, size_t num_tokens) const;
  uint16_t style(size_t i) const { return text_.styles[tokens_[i].first_character]; }

 private:
  const PlainText& text_;
  const std::vector<TextToken>& tokens_;
};

// What a rule has read: nothing (0 tokens), or so many tokens.
struct TokensRead {
  size_t num_tokens = 0;
  bool ends_in_abbreviation = false;  // the last full stop may not end the sentence
};

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_TEXT_TOKENS_H_
