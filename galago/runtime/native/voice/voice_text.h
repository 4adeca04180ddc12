// A voice's reading of text: its dictionary, its network for unknown words, and what they make of a
// text together. Immutable, shared by sessions and threads.
#ifndef GALAGO_NATIVE_VOICE_VOICE_TEXT_H_
#define GALAGO_NATIVE_VOICE_VOICE_TEXT_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "pronunciation/g2p.h"
#include "pronunciation/pronunciations.h"
#include "pronunciation/speech_text.h"

namespace galago {

class VoiceText {
 public:
  // `phones` is the alphabet of the voice, `max_segment_phones` what its networks read at once.
  // Throws Error: GALAGO_E_CORRUPT where a file is damaged or speaks of other phones.
  VoiceText(const std::vector<std::string>& phones, size_t max_segment_phones,
            FileBytes pronunciations, std::optional<FileBytes> g2p);

  // Throws Error (GALAGO_E_INVALID_ARGUMENT): malformed SSML, with line and column; too long a
  // text, or one that holds nothing that can be said.
  SpeechScript parse(std::string_view utf8) const;

 private:
  std::unique_ptr<const Pronunciations> pronunciations_;
  std::unique_ptr<const G2p> g2p_;
  SpeechText speech_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_VOICE_VOICE_TEXT_H_
