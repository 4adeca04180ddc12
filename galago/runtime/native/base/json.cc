#include "base/json.h"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <set>

#include "base/status.h"

namespace galago {
namespace {

class Parser {
 public:
  Parser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  Json parse_document() {
    Json value = parse_value(0);
    skip_space();
    if (at_ != text_.size()) complain("text after the end of the value");
    return value;
  }

 private:
  [[noreturn]] void complain(const char* what) const {
    size_t line = 1;
    for (size_t i = 0; i < at_ && i < text_.size(); ++i) line += text_[i] == '\n';
    fail(GALAGO_E_CORRUPT, "%s: line %zu: %s", name_.c_str(), line, what);
  }

  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }

  void skip_space() {
    while (!at_end() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void take_literal(std::string_view literal) {
    if (text_.substr(at_, literal.size()) != literal) complain("unknown literal");
    at_ += literal.size();
  }

  Json parse_value(int depth) {
    if (depth == Json::kMaxDepth) complain("nested too deeply");
    skip_space();
    Json value;
    switch (peek()) {
      case '{':
        parse_object(depth, &value);
        break;
      case '[':
        parse_array(depth, &value);
        break;
      case '"':
        value.type = Json::Type::kString;
        value.string = parse_string();
        break;
      case 't':
        take_literal("true");
        value.type = Json::Type::kBool;
        value.boolean = true;
        break;
      case 'f':
        take_literal("false");
        value.type = Json::Type::kBool;
        break;
      case 'n':
        take_literal("null");
        break;
      default:
        value.type = Json::Type::kNumber;
        value.number = parse_number();
    }
    return value;
  }

  void parse_object(int depth, Json* value) {
    value->type = Json::Type::kObject;
    std::set<std::string> seen;
    take('{');
    skip_space();
    if (take('}')) return;
    do {
      skip_space();
      if (peek() != '"') complain("expected a member name");
      std::string key = parse_string();
      if (!seen.insert(key).second) complain("the same member name twice in one object");
      skip_space();
      if (!take(':')) complain("expected ':'");
      value->object.emplace_back(std::move(key), parse_value(depth + 1));
      skip_space();
    } while (take(','));
    if (!take('}')) complain("expected ',' or '}'");
  }

  void parse_array(int depth, Json* value) {
    value->type = Json::Type::kArray;
    take('[');
    skip_space();
    if (take(']')) return;
    do {
      value->array.push_back(parse_value(depth + 1));
      skip_space();
    } while (take(','));
    if (!take(']')) complain("expected ',' or ']'");
  }

  bool take_digits() {
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > begin;
  }

  double parse_number() {
    const size_t begin = at_;
    take('-');
    if (!take('0') && !take_digits()) complain("expected a value");
    if (take('.') && !take_digits()) complain("expected digits after '.'");
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!take_digits()) complain("expected digits in the exponent");
    }
    // from_chars, not strtod: the decimal point must not follow the process's locale.
    double number = 0.0;
    const auto [end, error] = std::from_chars(text_.data() + begin, text_.data() + at_, number);
    if (error != std::errc() || end != text_.data() + at_) complain("number out of range");
    return number;
  }

  std::string parse_string() {
    take('"');
    std::string out;
    while (!take('"')) {
      if (at_end()) complain("unterminated string");
      const unsigned char c = static_cast<unsigned char>(text_[at_]);
      if (c < 0x20) complain("control character in a string");
      if (c == '\\') {
        parse_escape(&out);
      } else {
        take_utf8(&out);
      }
    }
    return out;
  }

  void parse_escape(std::string* out) {
    ++at_;
    if (at_end()) complain("unterminated string");
    const char c = text_[at_++];
    switch (c) {
      case '"':
      case '\\':
      case '/':
        *out += c;
        return;
      case 'b':
        *out += '\b';
        return;
      case 'f':
        *out += '\f';
        return;
      case 'n':
        *out += '\n';
        return;
      case 'r':
        *out += '\r';
        return;
      case 't':
        *out += '\t';
        return;
      case 'u':
        break;
      default:
        complain("unknown escape in a string");
    }
    uint32_t code = parse_hex4();
    if (code >= 0xD800 && code < 0xDC00) {
      if (!take('\\') || !take('u')) complain("half a surrogate pair");
      const uint32_t low = parse_hex4();
      if (low < 0xDC00 || low > 0xDFFF) complain("half a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
      complain("half a surrogate pair");
    }
    // Strings become C strings at the ABI: a NUL inside would cut them silently.
    if (code == 0) complain("NUL in a string");
    append_utf8(code, out);
  }

  uint32_t parse_hex4() {
    uint32_t code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      code <<= 4;
      if (c >= '0' && c <= '9') {
        code += static_cast<uint32_t>(c - '0');
      } else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
        code += static_cast<uint32_t>((c | 32) - 'a' + 10);
      } else {
        complain("expected four hexadecimal digits");
      }
    }
    return code;
  }

  static void append_utf8(uint32_t code, std::string* out) {
    if (code < 0x80) {
      *out += static_cast<char>(code);
      return;
    }
    const int num_trail = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static constexpr uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
    *out += static_cast<char>(kLead[num_trail] | code >> (6 * num_trail));
    for (int i = num_trail - 1; i >= 0; --i) {
      *out += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3F));
    }
  }

  // One character of well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
  void take_utf8(std::string* out) {
    const auto byte = [&](size_t i) -> uint32_t {
      return at_ + i < text_.size() ? static_cast<unsigned char>(text_[at_ + i]) : 0u;
    };
    const uint32_t lead = byte(0);
    const size_t num_trail = lead < 0x80   ? 0
                             : lead < 0xC2 ? 4
                             : lead < 0xE0 ? 1
                             : lead < 0xF0 ? 2
                             : lead < 0xF5 ? 3
                                           : 4;
    if (num_trail == 4) complain("invalid UTF-8");
    for (size_t i = 1; i <= num_trail; ++i) {
      if ((byte(i) & 0xC0) != 0x80) complain("invalid UTF-8");
    }
    if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) ||
        (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) {
      complain("invalid UTF-8");
    }
    out->append(text_.substr(at_, num_trail + 1));
    at_ += num_trail + 1;
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
};

void append_quoted(const std::string& string, std::string* out) {
  *out += '"';
  for (char c : string) {
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c));
      *out += escape;
    } else {
      *out += c;
    }
  }
  *out += '"';
}

void append_text(const Json& value, std::string* out) {
  const char* separator = "";
  switch (value.type) {
    case Json::Type::kNull:
      *out += "null";
      break;
    case Json::Type::kBool:
      *out += value.boolean ? "true" : "false";
      break;
    case Json::Type::kNumber: {
      char digits[40];
      const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), value.number);
      out->append(digits, error == std::errc() ? end : digits);
      break;
    }
    case Json::Type::kString:
      append_quoted(value.string, out);
      break;
    case Json::Type::kArray:
      *out += '[';
      for (const Json& item : value.array) {
        *out += separator;
        append_text(item, out);
        separator = ",";
      }
      *out += ']';
      break;
    case Json::Type::kObject:
      *out += '{';
      for (const auto& [key, member] : value.object) {
        *out += separator;
        append_quoted(key, out);
        *out += ':';
        append_text(member, out);
        separator = ",";
      }
      *out += '}';
      break;
  }
}

}  // namespace

Json Json::parse(std::string_view text, const std::string& name) {
  return Parser(text, name).parse_document();
}

const Json* Json::find(std::string_view key) const {
  for (const auto& [name, member] : object) {
    if (name == key) return &member;
  }
  return nullptr;
}

std::string Json::to_text() const {
  std::string text;
  append_text(*this, &text);
  return text;
}

const char* type_name(Json::Type type) {
  static constexpr const char* kNames[] = {"null",     "true or false", "a number",
                                           "a string", "an array",      "an object"};
  return kNames[static_cast<int>(type)];
}

}  // namespace galago
