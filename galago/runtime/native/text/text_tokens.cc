#include "text/text_tokens.h"

#include <algorithm>
#include <string>

#include "text/address_rules.h"

namespace galago {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n'; }

bool is_any_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

constexpr std::string_view kOpeners = "([{\"'`*_";
constexpr std::string_view kClosers = ")]}\"'`*_,.;:!?\x88";

// How many hyphens or dots from `at` on part two words, as in "one--two", "well...no", "well-known"
// and "F-16"; the hyphens of numbers part nothing here.
size_t joint_length(std::string_view text, size_t at) {
  if (text[at] == '-' && at > 0 && at + 1 < text.size() &&
      (is_letter(text[at - 1]) || is_letter(text[at + 1])))
    return 1;
  size_t end = at;
  while (end < text.size() && text[end] == text[at]) ++end;
  const bool is_joint = (is_any_of(text[at], "-.") && end - at >= 2) || text[at] == kEmDash;
  return is_joint ? end - at : 0;
}

class Splitter {
 public:
  explicit Splitter(const PlainText& text) : text_(text.characters) {}

  std::vector<TextToken> run() {
    size_t at = 0;
    while (at < text_.size()) {
      size_t num_lines = 0;
      for (; at < text_.size() && is_space(text_[at]); ++at) num_lines += text_[at] == '\n';
      size_t end = at;
      while (end < text_.size() && !is_space(text_[end])) ++end;
      if (num_lines >= 2) begins_paragraph_ = true;
      if (end > at) split_run(at, end);
      at = end;
    }
    bool begins_sentence = true;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      TextToken& token = tokens_[i];
      // Dots in mid-sentence are a pause.
      if (token.is_ellipsis && token.mark == '.' && i + 1 < tokens_.size() &&
          is_lower(tokens_[i + 1].core[0]))
        token.mark = ',';
      token.begins_sentence = begins_sentence || token.begins_paragraph;
      begins_sentence = is_any_of(token.mark, ".?!");
    }
    return std::move(tokens_);
  }

 private:
  // A run without spaces: one token, or more where dashes or dots part words.
  void split_run(size_t begin, size_t end) {
    size_t part = begin;
    const bool is_whole = is_address(  // keeps its hyphens
        text_.substr(begin, end - begin));
    for (size_t at = begin; at < end && !is_whole; ++at) {
      const size_t length = joint_length(text_.substr(begin, end - begin), at - begin);
      if (length == 0) continue;
      if (at + length < end) {
        add_token(part, at + length);
        part = at + length;
      }
      at += length - 1;
    }
    add_token(part, end);
  }

  void add_token(size_t begin, size_t end) {
    TextToken token;
    const size_t run_begin = begin;
    while (begin < end && opens(begin, end)) ++begin;
    token.is_opened =
        text_.substr(run_begin, begin - run_begin).find_first_of("([{") != std::string_view::npos;
    size_t core_end = end;
    while (core_end > begin && closes(core_end - 1, begin)) --core_end;
    const bool is_empty = core_end == begin;
    read_marks(is_empty ? text_.substr(run_begin, end - run_begin)
                        : text_.substr(core_end, end - core_end),
               is_empty, &token);
    if (is_empty) {  // punctuation alone belongs to what stands before it
      if (!tokens_.empty()) strengthen(token, &tokens_.back());
      return;
    }
    token.core = text_.substr(begin, core_end - begin);
    token.first_character = begin;
    token.begins_paragraph = begins_paragraph_;
    begins_paragraph_ = false;
    tokens_.push_back(token);
  }

  bool opens(size_t at, size_t end) const {
    if (!is_any_of(text_[at], kOpeners)) return text_[at] == kEmDash || is_lone_dash(at, end);
    // "'90s" and "'em" keep their apostrophe.
    return text_[at] != '\'' || at + 1 >= end ||
           !(is_digit(text_[at + 1]) || is_lower(text_[at + 1])) ||
           text_.substr(at + 1, end - at - 1).find('\'') != std::string_view::npos;
  }

  // A dash between two words, "a - b", and the hyphens of "one--" behind a word.
  bool is_lone_dash(size_t at, size_t end) const {
    return (text_[at] == '-' || text_[at] == kEnDash) &&
           text_.substr(at, end - at).find_first_not_of("-\x87") == std::string_view::npos;
  }

  bool closes(size_t at, size_t begin) const {
    if (text_[at] == '-' || text_[at] == kEnDash) return true;
    if (!is_any_of(text_[at], kClosers)) return false;
    // The apostrophe of "dogs'" is part of the word; of "w/" and of symbols alone nothing is lost.
    return !(text_[at] == '\'' && at > begin && (text_[at - 1] == 's' || text_[at - 1] == 'S'));
  }

  void read_marks(std::string_view closing, bool is_alone, TextToken* token) const {
    if (!is_alone && (closing == "-" || closing == "\x87")) return;  // "pre- and postwar"
    const auto holds = [&](std::string_view set) {
      return closing.find_first_of(set) != std::string_view::npos;
    };
    const size_t num_periods = static_cast<size_t>(std::count(closing.begin(), closing.end(), '.'));
    token->is_in_brackets = token->is_opened && holds(")]}");
    token->has_period = num_periods == 1;
    token->is_ellipsis = num_periods > 1;
    if (holds(",;:)]}\x87\x88-")) token->mark = ',';
    if (holds("?")) token->mark = '?';
    if (holds("!") && token->mark != '?') token->mark = '!';
    token->mark_without_period = token->mark;
    if (num_periods > 0 && is_any_of(token->mark, " ,")) token->mark = '.';
  }

  static void strengthen(const TextToken& alone, TextToken* token) {
    static constexpr std::string_view kOrder = " ,.?!";
    if (kOrder.find(alone.mark) <= kOrder.find(token->mark)) return;
    token->mark = token->mark_without_period = alone.mark;
    token->has_period = false;
    token->is_ellipsis = alone.is_ellipsis;
  }

  std::string_view text_;
  std::vector<TextToken> tokens_;
  bool begins_paragraph_ = false;
};

}  // namespace

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

bool all_letters(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_letter);
}

bool all_upper(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_upper);
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), to_lower);
  return lowered;
}

std::string_view TokenView::follower(size_t i, bool after_period) const {
  if (i + 1 >= tokens_.size() || tokens_[i + 1].is_opened || tokens_[i + 1].begins_paragraph)
    return {};
  const TextToken& token = tokens_[i];
  const bool is_period = after_period && token.has_period && token.mark_without_period == ' ';
  return token.mark == ' ' || is_period ? tokens_[i + 1].core : std::string_view();
}

SourceRange TokenView::source(size_t first, size_t num_tokens) const {
  const TextToken& last = tokens_[first + num_tokens - 1];
  return {text_.sources[tokens_[first].first_character].begin_byte,
          text_.sources[last.first_character + last.core.size() - 1].end_byte};
}

std::vector<TextToken> split_tokens(const PlainText& text) { return Splitter(text).run(); }

}  // namespace galago
