// UTF-8, read one code point at a time; what is malformed becomes U+FFFD and never stops anything.
#ifndef GALAGO_NATIVE_BASE_UTF8_H_
#define GALAGO_NATIVE_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace galago {

constexpr char32_t kReplacementCharacter = 0xFFFD;

// The code point at text[*at], and *at moved behind it.  A malformed sequence (RFC 3629) gives
// U+FFFD for each maximal part of it, as the Unicode Standard recommends (3.9, table 3-8).
// Requires *at < text.size().
inline char32_t next_code_point(std::string_view text, size_t* at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(*at);
  ++*at;
  if (lead < 0x80) return lead;
  if (lead < 0xC2 || lead > 0xF4) return kReplacementCharacter;
  const int num_following = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  char32_t code = lead & (0x3F >> num_following);
  for (int i = 0; i < num_following; ++i) {
    // The second byte's range excludes overlong forms, surrogates and what is past U+10FFFF.
    unsigned char low = 0x80, high = 0xBF;
    if (i == 0 && lead == 0xE0) low = 0xA0;
    if (i == 0 && lead == 0xED) high = 0x9F;
    if (i == 0 && lead == 0xF0) low = 0x90;
    if (i == 0 && lead == 0xF4) high = 0x8F;
    if (*at >= text.size() || byte(*at) < low || byte(*at) > high) return kReplacementCharacter;
    code = code << 6 | (byte(*at) & 0x3F);
    ++*at;
  }
  return code;
}

// Appends a code point that is a Unicode scalar value.
inline void append_utf8(char32_t code, std::string* out) {
  const auto put = [&](char32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6), put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18), put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  }
}

}  // namespace galago

#endif  // GALAGO_NATIVE_BASE_UTF8_H_
