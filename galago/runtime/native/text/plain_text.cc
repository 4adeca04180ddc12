#include "text/plain_text.h"

#include <algorithm>
#include <iterator>

#include "base/utf8.h"

namespace galago {
namespace {

// The letter under the accent for U+00C0..U+024F and U+1E00..U+1EFF; '.' where there is none.
// (From the canonical decompositions of the Unicode Character Database, and by sound where a
// letter has none, as in o with a stroke.)
constexpr char kLatin[] =
    "AAAAAAACEEEEIIIIDNOOOOO.OUUUUYTsaaaaaaaceeeeiiiidnooooo.ouuuuyty"
    "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlL"
    "lLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs"
    ".B....O...D...EEE.f....IKk......Oo.............Uu..YyZz........."
    "....DDdLLlNNnAaIiOoUuUuUuUuUueAaAa....GgKkOoOo..jDDdGg..NnAa...."
    "AaAaEeEeIiIiOoOoRrRrUuUuSsTt..Hh......AaEeOoOoOoOoYy............"
    "................";
constexpr char kLatinAdditional[] =
    "AaBbBbBbCcDdDdDdDdDdEeEeEeEeEeFfGgHhHhHhHhHhIiIiKkKkKkLlLlLlLlMm"
    "MmMmNnNnNnNnOoOoOoOoPpPpRrRrRrRrSsSsSsSsSsTtTtTtTtUuUuUuUuUuVvVv"
    "WwWwWwWwWwXxXxYyZzZzZzhtwyas..S.AaAaAaAaAaAaAaAaAaAaAaAaEeEeEeEe"
    "EeEeEeEeIiIiOoOoOoOoOoOoOoOoOoOoOoOoUuUuUuUuUuUuUuYyYyYyYy......";
constexpr char32_t kLatinFirst = 0xC0, kLatinAdditionalFirst = 0x1E00;

// What a code point is written as. Spaces around a word let it be a word of its own.
struct Spelling {
  char32_t code;
  const char* text;
};
constexpr Spelling kSpellings[] = {
    // sorted by code
    {0x00A0, " "},
    {0x00A1, ""},
    {0x00A2, "\x83"},
    {0x00A3, "\x81"},
    {0x00A5, "\x82"},
    {0x00A6, " "},
    {0x00A7, " section "},
    {0x00A8, ""},
    {0x00A9, " copyright "},
    {0x00AA, "a"},
    {0x00AB, "\""},
    {0x00AC, " not "},
    {0x00AD, ""},
    {0x00AE, ""},
    {0x00AF, " "},
    {0x00B0, "\x84"},
    {0x00B1, " plus or minus "},
    {0x00B2, "^2"},
    {0x00B3, "^3"},
    {0x00B4, "'"},
    {0x00B5, "\x85"},
    {0x00B6, " "},
    {0x00B7, " "},
    {0x00B8, ""},
    {0x00B9, "^1"},
    {0x00BA, "\x84"},
    {0x00BB, "\""},
    {0x00BC, " 1/4"},
    {0x00BD, " 1/2"},
    {0x00BE, " 3/4"},
    {0x00BF, ""},
    {0x00C6, "AE"},
    {0x00D7, "\x86"},
    {0x00DE, "Th"},
    {0x00DF, "ss"},
    {0x00E6, "ae"},
    {0x00F7, " divided by "},
    {0x00FE, "th"},
    {0x0132, "IJ"},
    {0x0133, "ij"},
    {0x0152, "OE"},
    {0x0153, "oe"},
    {0x0192, "f"},
    {0x02B0, "h"},
    {0x02B9, "'"},
    {0x02BB, "'"},
    {0x02BC, "'"},
    {0x02C6, ""},
    {0x02DA, "\x84"},
    {0x02DC, ""},
    {0x0391, " alpha "},
    {0x0392, " beta "},
    {0x0393, " gamma "},
    {0x0394, " delta "},
    {0x0398, " theta "},
    {0x039B, " lambda "},
    {0x03A0, " pi "},
    {0x03A3, " sigma "},
    {0x03A6, " phi "},
    {0x03A9, "Ohm"},
    {0x03B1, " alpha "},
    {0x03B2, " beta "},
    {0x03B3, " gamma "},
    {0x03B4, " delta "},
    {0x03B5, " epsilon "},
    {0x03B8, " theta "},
    {0x03BB, " lambda "},
    {0x03BC, "\x85"},
    {0x03C0, " pi "},
    {0x03C1, " rho "},
    {0x03C3, " sigma "},
    {0x03C4, " tau "},
    {0x03C6, " phi "},
    {0x03C9, " omega "},
    {0x1E9E, "SS"},
    {0x2010, "-"},
    {0x2011, "-"},
    {0x2012, "\x87"},
    {0x2013, "\x87"},
    {0x2014, "\x88"},
    {0x2015, "\x88"},
    {0x2018, "'"},
    {0x2019, "'"},
    {0x201A, ","},
    {0x201B, "'"},
    {0x201C, "\""},
    {0x201D, "\""},
    {0x201E, "\""},
    {0x201F, "\""},
    {0x2022, " * "},
    {0x2024, "."},
    {0x2025, ".."},
    {0x2026, "..."},
    {0x2028, "\n"},
    {0x2029, "\n\n"},
    {0x202F, " "},
    {0x2030, " per mille "},
    {0x2032, "'"},
    {0x2033, "\""},
    {0x2039, "'"},
    {0x203A, "'"},
    {0x203C, "!!"},
    {0x2044, "/"},
    {0x2047, "??"},
    {0x2048, "?!"},
    {0x2049, "!?"},
    {0x205F, " "},
    {0x2070, "^0"},
    {0x2074, "^4"},
    {0x2075, "^5"},
    {0x2076, "^6"},
    {0x2077, "^7"},
    {0x2078, "^8"},
    {0x2079, "^9"},
    {0x2080, "0"},
    {0x2081, "1"},
    {0x2082, "2"},
    {0x2083, "3"},
    {0x2084, "4"},
    {0x2085, "5"},
    {0x2086, "6"},
    {0x2087, "7"},
    {0x2088, "8"},
    {0x2089, "9"},
    {0x20AC, "\x80"},
    {0x2103,
     "\x84"
     "C"},
    {0x2109,
     "\x84"
     "F"},
    {0x2113, "l"},
    {0x2116, " number "},
    {0x2117, ""},
    {0x2122, ""},
    {0x2126, "Ohm"},
    {0x212A, "K"},
    {0x212B, "A"},
    {0x2150, " 1/7"},
    {0x2151, " 1/9"},
    {0x2152, " 1/10"},
    {0x2153, " 1/3"},
    {0x2154, " 2/3"},
    {0x2155, " 1/5"},
    {0x2156, " 2/5"},
    {0x2157, " 3/5"},
    {0x2158, " 4/5"},
    {0x2159, " 1/6"},
    {0x215A, " 5/6"},
    {0x215B, " 1/8"},
    {0x215C, " 3/8"},
    {0x215D, " 5/8"},
    {0x215E, " 7/8"},
    {0x2190, " "},
    {0x2192, " to "},
    {0x2212, "-"},
    {0x2215, "/"},
    {0x221A, " root "},
    {0x221E, " infinity "},
    {0x2248, " about "},
    {0x2260, " is not "},
    {0x2264, " at most "},
    {0x2265, " at least "},
    {0x2713, " "},
    {0x3000, " "},
    {0x3001, ","},
    {0x3002, "."},
};

// Invisible by design: they neither part words nor count as skipped.
bool is_invisible(char32_t code) {
  return (code >= 0x0300 && code <= 0x036F) || (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x202A && code <= 0x202E) || (code >= 0x2060 && code <= 0x206F) ||
         (code >= 0xFE00 && code <= 0xFE0F) || code == 0xFEFF || (code < 0x20 && code != 0) ||
         code == 0x7F;
}

// The writing of one code point; nullptr: there is none, it is skipped.
const char* spelling(char32_t code, char (&one)[2]) {
  const auto single = [&](char character) -> const char* {
    one[0] = character, one[1] = '\0';
    return one;
  };
  if (code == '\t' || code == '\r' || code == '\v' || code == '\f' || code == 0x85) return " ";
  if (code == '\n' || (code >= 0x20 && code < 0x7F)) return single(static_cast<char>(code));
  if (is_invisible(code)) return "";
  const Spelling* found = std::lower_bound(
      std::begin(kSpellings), std::end(kSpellings), code,
      [](const Spelling& spelling, char32_t wanted) { return spelling.code < wanted; });
  if (found != std::end(kSpellings) && found->code == code) return found->text;
  if (code >= 0x2000 && code <= 0x200A) return " ";
  if (code >= 0xFF01 && code <= 0xFF5E) return single(static_cast<char>(code - 0xFF01 + '!'));
  char letter = '.';
  if (code >= kLatinFirst && code < kLatinFirst + sizeof(kLatin) - 1) {
    letter = kLatin[code - kLatinFirst];
  } else if (code >= kLatinAdditionalFirst &&
             code < kLatinAdditionalFirst + sizeof(kLatinAdditional) - 1) {
    letter = kLatinAdditional[code - kLatinAdditionalFirst];
  }
  return letter == '.' ? nullptr : single(letter);
}

bool is_greek(char32_t code) { return code >= 0x0370 && code <= 0x03FF; }

void append_code_point(char32_t code, SourceRange source, uint16_t style, PlainText* out) {
  char one[2];
  const char* text = spelling(code, one);
  if (text == nullptr) {
    ++out->num_skipped;
    text = " ";
  }
  for (; *text != '\0'; ++text) out->append(*text, source, style);
}

// Greek letters stand alone as symbols; a whole word of them belongs to another script.
bool is_in_greek_word(std::string_view utf8, size_t end, char32_t before) {
  return is_greek(before) || (end < utf8.size() && is_greek(next_code_point(utf8, &end)));
}

template <typename SourceOf>
void append_all(std::string_view utf8, uint16_t style, const SourceOf& source_of, PlainText* out) {
  char32_t before = 0;
  for (size_t at = 0; at < utf8.size();) {
    const size_t begin = at;
    const char32_t code = next_code_point(utf8, &at);
    const SourceRange source = source_of(begin, at);
    if (is_greek(code) && is_in_greek_word(utf8, at, before)) {
      ++out->num_skipped;
      out->append(' ', source, style);
    } else {
      append_code_point(code, source, style, out);
    }
    before = code;
  }
}

}  // namespace

void PlainText::append(char character, SourceRange source, uint16_t style) {
  characters.push_back(character);
  sources.push_back(source);
  styles.push_back(style);
}

void append_plain(std::string_view utf8, uint32_t first_byte, uint16_t style, PlainText* out) {
  append_all(
      utf8, style,
      [&](size_t begin, size_t end) {
        return SourceRange{first_byte + static_cast<uint32_t>(begin),
                           first_byte + static_cast<uint32_t>(end)};
      },
      out);
}

void append_plain(std::string_view utf8, SourceRange source, uint16_t style, PlainText* out) {
  append_all(
      utf8, style, [&](size_t, size_t) { return source; }, out);
}

}  // namespace galago
