// E-mail addresses and URLs, in the form in which one reads them to somebody.
//
//     info@example.com              info at example dot com
//     https://www.example.org/a-b   W W W dot example dot org slash a dash b
#ifndef GALAGO_NATIVE_TEXT_ADDRESS_RULES_H_
#define GALAGO_NATIVE_TEXT_ADDRESS_RULES_H_

#include <string_view>

namespace galago {

// Whether a token is an address: "://", "www.", a name with "@" and a domain, or a domain that ends
// in one of the common top levels.
bool is_address(std::string_view text);

// The word of a separator inside an address; nullptr: it is silent.
const char* address_symbol(char symbol);

// Without "https://" and the like, and without a last slash.
std::string_view spoken_part_of_address(std::string_view text);

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_ADDRESS_RULES_H_
