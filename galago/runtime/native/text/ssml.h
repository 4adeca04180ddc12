// A subset of SSML 1.1 (W3C, 2010), read into runs of text and what is to be done with them.
//
//   <speak>               the root; a text that does not begin with it is plain text
//   <p> <s>               a sentence ends behind them
//   <break time strength> a pause: "500ms", "1.5s"; none, x-weak ... x-strong
//   <prosody rate pitch volume>
//   <say-as interpret-as format>   characters, spell-out, cardinal, number, ordinal, digits, time,
//                         date, telephone
//   <sub alias>           another text instead
//   <phoneme alphabet ph> x-arpabet or ipa
//
// Other elements are an error: a listener would not hear that they were ignored.
#ifndef GALAGO_NATIVE_TEXT_SSML_H_
#define GALAGO_NATIVE_TEXT_SSML_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/plain_text.h"
#include "text/text_normalizer.h"

namespace galago {

// How words are spoken; factors and offsets of nested elements add up.
struct Prosody {
  float rate = 1.0f;             // of speech, 0.25 ... 4
  float pitch_semitones = 0.0f;  // -12 ... 12
  float volume_db = 0.0f;        // -96 (silence) ... 12

  bool operator==(const Prosody& other) const {
    return rate == other.rate && pitch_semitones == other.pitch_semitones &&
           volume_db == other.volume_db;
  }
};

struct SsmlItem {
  enum class Kind {
    kText,         // text
    kSayAs,        // text, how, format
    kPhonemes,     // phones, source
    kPause,        // pause_ms, mark
    kNoPause,      // a mark is taken back
    kSentenceEnd,  // of <s> and <p>
  };
  Kind kind = Kind::kText;
  PlainText text;
  SayAs how = SayAs::kCharacters;
  std::string format;
  std::string phones;
  SourceRange source;
  uint16_t style = 0;
  uint32_t pause_ms = 0;
  char mark = ' ';
};

struct SpeechDocument {
  std::vector<SsmlItem> items;
  std::vector<Prosody> styles;  // [0] is plain
  size_t num_skipped = 0;
};

// Whether a text is to be read as SSML: after white space it begins with "<speak" or "<?xml".
bool is_ssml(std::string_view text);

// Throws Error (GALAGO_E_INVALID_ARGUMENT): "ssml: line 1, column 12: ...".
SpeechDocument parse_ssml(std::string_view text);

// Text that is no SSML, as one item.
SpeechDocument plain_document(std::string_view text);

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_SSML_H_
