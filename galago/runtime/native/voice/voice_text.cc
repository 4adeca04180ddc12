#include "voice/voice_text.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace galago {
namespace {

std::unique_ptr<const Pronunciations> parse_pronunciations(FileBytes file) {
  const auto bytes = std::make_shared<const FileBytes>(std::move(file));
  return Pronunciations::parse(bytes, bytes->data(), bytes->size());
}

bool has_sound(const SpeechSegment& segment) {
  return std::any_of(segment.phones.begin(), segment.phones.end(),
                     [](const SpeechPhone& phone) { return !phone.is_mark; });
}

}  // namespace

VoiceText::VoiceText(const std::vector<std::string>& phones, size_t max_segment_phones,
                     FileBytes pronunciations, std::optional<FileBytes> g2p)
    : pronunciations_(parse_pronunciations(std::move(pronunciations))),
      g2p_(g2p ? G2p::parse(g2p->data(), g2p->size()) : nullptr),
      speech_(*pronunciations_, g2p_.get(), max_segment_phones) {
  if (pronunciations_->phones() != phones) {
    fail(GALAGO_E_CORRUPT,
         "manifest.json: roles.voice.pronunciations: its %zu phones are not the %zu of the voice",
         pronunciations_->phones().size(), phones.size());
  }
}

SpeechScript VoiceText::parse(std::string_view utf8) const {
  SpeechScript script = speech_.parse(utf8);
  auto& segments = script.segments;
  segments.erase(std::remove_if(segments.begin(), segments.end(),
                                [](const SpeechSegment& segment) { return !has_sound(segment); }),
                 segments.end());
  if (segments.empty()) {
    fail(GALAGO_E_INVALID_ARGUMENT,
         "speak: the text holds nothing that can be said (%zu of its characters were left out)",
         script.num_skipped_characters);
  }
  const size_t most = speech_.max_segment_phones();
  for (const SpeechSegment& segment : segments) {
    if (segment.phones.size() > most) {
      const uint32_t word = segment.phones[1].word;
      fail(GALAGO_E_INVALID_ARGUMENT,
           "speak: the word \"%.60s\" has %zu phones, this voice reads at most %zu at once",
           word < script.words.size() ? script.words[word].spoken.c_str() : "",
           segment.phones.size() - 2, most - 2);
    }
  }
  return script;
}

}  // namespace galago
