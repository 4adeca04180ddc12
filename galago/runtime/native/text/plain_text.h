// Unicode text reduced to the few characters that the voice's text rules know.
//
// Letters of any Latin alphabet lose their accents (é -> e, ß -> ss, æ -> ae); quotes, dashes,
// spaces and full-width forms become their ASCII relatives; fractions and superscripts become
// digits. Symbols that matter to the rules keep a byte of their own, from 0x80. Emoji and the
// letters of other scripts become a space and are counted.
#ifndef GALAGO_NATIVE_TEXT_PLAIN_TEXT_H_
#define GALAGO_NATIVE_TEXT_PLAIN_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace galago {

// Bytes of PlainText::characters beyond ASCII.
constexpr char kEuroSign = '\x80';
constexpr char kPoundSign = '\x81';
constexpr char kYenSign = '\x82';
constexpr char kCentSign = '\x83';
constexpr char kDegreeSign = '\x84';
constexpr char kMicroSign = '\x85';
constexpr char kTimesSign = '\x86';
constexpr char kEnDash = '\x87';
constexpr char kEmDash = '\x88';

struct SourceRange {
  uint32_t begin_byte = 0;
  uint32_t end_byte = 0;
};

struct PlainText {
  std::string characters;
  std::vector<SourceRange> sources;  // of each character, in the text that was given
  std::vector<uint16_t> styles;      // of each character: which prosody it is spoken with
  size_t num_skipped = 0;            // emoji, letters of other scripts, malformed bytes

  void append(char character, SourceRange source, uint16_t style);
};

// Appends UTF-8 whose first byte is byte `first_byte` of the source; or, where it does not stand
// there as it is (an alias, a decoded entity), all of which comes from the range `source`.
void append_plain(std::string_view utf8, uint32_t first_byte, uint16_t style, PlainText* out);
void append_plain(std::string_view utf8, SourceRange source, uint16_t style, PlainText* out);

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_PLAIN_TEXT_H_
