#include "text/address_rules.h"

#include <algorithm>
#include <string>

#include "text/text_tokens.h"

namespace galago {
namespace {

// Where one of these ends a name, the name is a domain even without "www." before it.
constexpr std::string_view kTopLevels[] = {"com", "org", "net", "edu", "gov", "info", "io",
                                           "ai",  "dev", "app", "de",  "fr",  "uk",   "eu",
                                           "ch",  "at",  "nl",  "ca",  "tv",  "co"};

bool is_domain(std::string_view text) {
  const std::string_view host = text.substr(0, text.find_first_of("/:?#"));
  const size_t dot = host.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return false;
  const auto is_allowed = [](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '.';
  };
  if (!std::all_of(host.begin(), host.end(), is_allowed)) return false;
  // A dotted abbreviation such as "U.K." has single letters only.
  const size_t first_dot = host.find('.');
  if (first_dot < 2) return false;
  const std::string top = lower(host.substr(dot + 1));
  return std::find(std::begin(kTopLevels), std::end(kTopLevels), top) != std::end(kTopLevels);
}

}  // namespace

bool is_address(std::string_view text) {
  const size_t at = text.find('@');
  if (at != std::string_view::npos)
    return at > 0 && text.find('.', at) != std::string_view::npos && at + 1 < text.size();
  const size_t scheme = text.find("://");
  if (scheme != std::string_view::npos) return scheme > 0 && scheme + 3 < text.size();
  return lower(text.substr(0, 4)) == "www." || is_domain(text);
}

const char* address_symbol(char symbol) {
  switch (symbol) {
    case '.':
      return "dot";
    case '@':
      return "at";
    case '/':
      return "slash";
    case '-':
      return "dash";
    case '_':
      return "underscore";
    case ':':
      return "colon";
    case '?':
      return "question mark";
    case '=':
      return "equals";
    case '&':
      return "and";
    case '#':
      return "hash";
    case '%':
      return "percent";
    case '+':
      return "plus";
    case '~':
      return "tilde";
    default:
      return nullptr;
  }
}

std::string_view spoken_part_of_address(std::string_view text) {
  for (const std::string_view scheme : {"https://", "http://", "mailto:"})
    if (lower(text.substr(0, scheme.size())) == scheme) text.remove_prefix(scheme.size());
  while (text.size() > 1 && text.back() == '/') text.remove_suffix(1);
  return text;
}

}  // namespace galago
