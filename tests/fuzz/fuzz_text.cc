// Text for the voice: whatever the bytes, phones of its alphabet, or an error of SSML; and any
// bytes instead of the dictionary or the network are an error.
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "pronunciation/g2p.h"
#include "pronunciation/pronunciations.h"
#include "pronunciation/speech_text.h"
#include "pronunciation/tiny_voice.h"
#include "seeds.h"

std::vector<std::string> fuzz_seeds() {
  return {
      "Dr. Grey's R2-D2 cost $5.50 on 2026-11-21 at 7:30 pm, i.e. -5.5 \xC2\xB0"
      "C (or 1/2).",
      "<speak>a <break time=\"1.5s\"/><prosody rate=\"80%\" pitch=\"+2st\">caf\xC3\xA9</prosody>"
      "<say-as interpret-as=\"date\" format=\"dmy\">1/2/2003</say-as>&#x41;&amp;</speak>",
      "555-0123, info@example.com, World War II, USB & CPUs \xF0\x9F\x98\x80 1990s 5-10 km",
      tiny_voice::pronunciations()};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tiny_voice::Voice voice;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const galago::SpeechScript script = voice.speech.parse(text);
    for (const galago::SpeechSegment& segment : script.segments) {
      if (segment.phones.size() > galago::SpeechText::kMaxSegmentPhones + 2) std::abort();
      for (const galago::SpeechPhone& phone : segment.phones) {
        if (phone.row >= voice.dictionary->phones().size()) std::abort();
        if (!phone.is_mark && phone.word >= script.words.size()) std::abort();
        if (phone.prosody >= script.prosodies.size()) std::abort();
      }
    }
    for (const galago::SpeechWord& word : script.words)
      if (word.source.begin_byte > word.source.end_byte || word.source.end_byte > size)
        std::abort();
  } catch (const galago::Error&) {
  }
  try {
    galago::Pronunciations::parse(nullptr, data, size);
  } catch (const galago::Error&) {
  }
  try {
    galago::G2p::parse(data, size);
  } catch (const galago::Error&) {
  }
  return 0;
}
