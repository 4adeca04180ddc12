#include "text/xml_reader.h"

#include <algorithm>

#include "base/status.h"
#include "base/utf8.h"

namespace galago {
namespace {

constexpr size_t kMaxNameBytes = 64;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == ':' || c == '.';
}

bool is_name_start(char c) {
  return is_name_character(c) && c != '-' && c != '.' && !(c >= '0' && c <= '9');
}

}  // namespace

void XmlReader::fail_at(size_t at, const std::string& what) const {
  const std::string_view before = text_.substr(0, at);
  const size_t line = 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
  const size_t last_line = before.rfind('\n');
  const size_t column = at - (last_line == std::string_view::npos ? 0 : last_line + 1) + 1;
  fail(GALAGO_E_INVALID_ARGUMENT, "%.*s: line %zu, column %zu: %s",
       static_cast<int>(source_.size()), source_.data(), line, column, what.c_str());
}

void XmlReader::skip_space() {
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
}

void XmlReader::skip_until(std::string_view end, const char* what) {
  const size_t found = text_.find(end, at_);
  if (found == std::string_view::npos) fail_at(begin_, std::string(what) + " does not end");
  at_ = found + end.size();
}

std::string XmlReader::read_name() {
  const size_t begin = at_;
  if (at_ >= text_.size() || !is_name_start(text_[at_])) fail_at(at_, "expected a name");
  while (at_ < text_.size() && is_name_character(text_[at_])) ++at_;
  if (at_ - begin > kMaxNameBytes) fail_at(begin, "a name of more than 64 characters");
  return std::string(text_.substr(begin, at_ - begin));
}

char32_t XmlReader::read_entity() {
  const size_t begin = at_;
  const size_t semicolon = text_.find(';', at_);
  if (semicolon == std::string_view::npos || semicolon - at_ > 10)
    fail_at(begin, "\"&\" begins no entity; write \"&amp;\"");
  const std::string entity(text_.substr(at_ + 1, semicolon - at_ - 1));
  at_ = semicolon + 1;
  static constexpr struct {
    const char* name;
    char character;
  } kNamed[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& named : kNamed)
    if (entity == named.name) return static_cast<char32_t>(named.character);
  const bool is_hex = entity.size() > 1 && entity[0] == '#' && entity[1] == 'x';
  const std::string digits = entity.substr(std::min(entity.size(), size_t{is_hex ? 2u : 1u}));
  const char* const allowed = is_hex ? "0123456789abcdefABCDEF" : "0123456789";
  if (entity.empty() || entity[0] != '#' || digits.empty() ||
      digits.find_first_not_of(allowed) != std::string::npos)
    fail_at(begin, "unknown entity \"&" + entity + ";\"");
  const unsigned long code = std::stoul(digits, nullptr, is_hex ? 16 : 10);  // 8 digits at most
  if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
    fail_at(begin, "\"&" + entity + ";\" is no character");
  return static_cast<char32_t>(code);
}

void XmlReader::read_attribute() {
  const size_t begin = at_;
  std::string name = read_name();
  for (const auto& [known, value] : attributes_)
    if (known == name) fail_at(begin, "attribute \"" + name + "\" twice");
  if (attributes_.size() == kMaxAttributes) fail_at(begin, "more than 16 attributes");
  skip_space();
  if (!looking_at("=")) fail_at(at_, "expected \"=\" behind attribute \"" + name + "\"");
  ++at_;
  skip_space();
  if (!looking_at("\"") && !looking_at("'")) fail_at(at_, "expected a quoted value");
  const char quote = text_[at_++];
  std::string value;
  while (at_ < text_.size() && text_[at_] != quote) {
    if (text_[at_] == '<') fail_at(at_, "\"<\" inside an attribute; write \"&lt;\"");
    if (text_[at_] == '&') {
      append_utf8(read_entity(), &value);
    } else {
      value.push_back(text_[at_++]);
    }
  }
  if (at_ >= text_.size()) fail_at(begin, "the value of \"" + name + "\" does not end");
  ++at_;
  attributes_.emplace_back(std::move(name), std::move(value));
}

void XmlReader::read_start() {
  ++at_;
  name_ = read_name();
  attributes_.clear();
  if (open_.empty() && had_root_) fail_at(begin_, "a second root element <" + name_ + ">");
  if (open_.size() == kMaxDepth) fail_at(begin_, "elements nest deeper than 16");
  while (true) {
    const size_t before = at_;
    skip_space();
    if (looking_at("/>") || looking_at(">")) break;
    if (at_ >= text_.size()) fail_at(begin_, "<" + name_ + "> does not end");
    if (at_ == before) fail_at(at_, "unexpected character in <" + name_ + ">");
    read_attribute();
  }
  is_empty_element_ = text_[at_] == '/';
  at_ += is_empty_element_ ? 2 : 1;
  open_.push_back(name_);
  had_root_ = true;
}

void XmlReader::read_end() {
  at_ += 2;
  name_ = read_name();
  skip_space();
  if (!looking_at(">")) fail_at(at_, "expected \">\" behind </" + name_);
  ++at_;
  if (open_.empty()) fail_at(begin_, "</" + name_ + "> closes nothing");
  if (open_.back() != name_)
    fail_at(begin_, "</" + name_ + "> where </" + open_.back() + "> was expected");
  open_.pop_back();
}

XmlReader::Event XmlReader::next() {
  if (is_empty_element_) {
    is_empty_element_ = false;
    name_ = open_.back();
    open_.pop_back();
    return Event::kEnd;
  }
  while (true) {
    begin_ = at_;
    if (at_ >= text_.size()) {
      if (!open_.empty()) fail_at(at_, "the text ends before </" + open_.back() + ">");
      return Event::kFinish;
    }
    if (looking_at("<!--")) {
      at_ += 4;
      skip_until("-->", "a comment");
    } else if (looking_at("<?")) {
      skip_until("?>", "a processing instruction");
    } else if (looking_at("<!")) {
      fail_at(at_, "document types and CDATA are not read");
    } else if (looking_at("</")) {
      read_end();
      return Event::kEnd;
    } else if (looking_at("<")) {
      read_start();
      return Event::kStart;
    } else if (open_.empty()) {
      skip_space();
      if (at_ < text_.size() && text_[at_] != '<') fail_at(at_, "text outside of the root element");
    } else if (looking_at("&")) {
      content_.clear();
      append_utf8(read_entity(), &content_);
      return Event::kEntity;
    } else {
      at_ = std::min(text_.find_first_of("<&", at_), text_.size());
      content_ = text_.substr(begin_, at_ - begin_);
      return Event::kText;
    }
  }
}

std::string_view XmlReader::attribute(std::string_view name) const {
  for (const auto& [known, value] : attributes_)
    if (known == name) return value;
  return {};
}

}  // namespace galago
