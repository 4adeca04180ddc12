// Text or SSML to what the voice speaks: sentences of phones and marks.
//
//     SpeechText speech(pronunciations, g2p);
//     for (const SpeechSegment& segment : speech.parse("Hello, world!").segments) ...
//     ^ HH AH0 L OW1 , W ER1 L D !          one segment; ',' and '!' last as long as their pauses
//
// A control-thread call: it allocates, in proportion to the text and no more (a text has at most
// kMaxTextBytes). Nothing here is called from a step of a session.
#ifndef GALAGO_NATIVE_PRONUNCIATION_SPEECH_TEXT_H_
#define GALAGO_NATIVE_PRONUNCIATION_SPEECH_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pronunciation/g2p.h"
#include "pronunciation/pronunciations.h"
#include "text/spoken_words.h"
#include "text/ssml.h"

namespace galago {

constexpr uint32_t kNoWord = 0xFFFFFFFF;

// A phone, or a mark: what stands before the first word (^), between two (space , . ? !) and behind
// the last of a segment.
struct SpeechPhone {
  uint8_t row = 0;          // in the alphabet of the voice
  bool is_mark = false;     // false: a sound
  uint16_t prosody = 0;     // in SpeechScript::prosodies; of a mark, that of the word before it
  uint32_t word = kNoWord;  // in SpeechScript::words; kNoWord for a mark
  uint32_t pause_ms = 0;    // of a mark: it lasts so long at least
};

// What is synthesised at once: a sentence, or a part of a long one. It begins with the mark ^ and
// ends with the mark that its last word has, ',' where a sentence was cut.
struct SpeechSegment {
  std::vector<SpeechPhone> phones;
};

struct SpeechWord {
  std::string spoken;  // "twenty", "u" for a letter, phones for a <phoneme>
  SourceRange source;  // the bytes of the given text that it comes from
};

struct SpeechScript {
  std::vector<SpeechSegment> segments;  // none where nothing is to be said
  std::vector<SpeechWord> words;
  std::vector<Prosody> prosodies;     // [0] is plain
  size_t num_skipped_characters = 0;  // emoji, other scripts, malformed bytes
  size_t num_unknown_words = 0;       // read from their letters
};

class SpeechText {
 public:
  static constexpr size_t kMaxTextBytes = 1 << 18;
  static constexpr size_t kMaxSegmentPhones = 256;

  // `g2p` may be null: unknown words are then spelled. Both must outlive this. Sentences are cut
  // at `max_segment_phones`; a single word may still be longer. Throws Error (GALAGO_E_CORRUPT)
  // where the two do not fit together.
  SpeechText(const Pronunciations& pronunciations, const G2p* g2p,
             size_t max_segment_phones = kMaxSegmentPhones);

  size_t max_segment_phones() const { return max_segment_phones_; }

  // A text that begins with "<speak" is SSML if `may_be_ssml`. Throws Error
  // (GALAGO_E_INVALID_ARGUMENT): malformed SSML, with line and column; too long a text.
  SpeechScript parse(std::string_view utf8, bool may_be_ssml = true) const;

  // The words alone, before their phones: what tests and documents show.
  SpokenWords words(std::string_view utf8, bool may_be_ssml = true) const;

 private:
  const Pronunciations& pronunciations_;
  const G2p* g2p_;
  const size_t max_segment_phones_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_PRONUNCIATION_SPEECH_TEXT_H_
