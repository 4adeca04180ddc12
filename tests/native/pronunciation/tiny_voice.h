// A dictionary of the voice with a few words, made here byte by byte, and what speaks with it.
#ifndef GALAGO_TESTS_NATIVE_PRONUNCIATION_TINY_VOICE_H_
#define GALAGO_TESTS_NATIVE_PRONUNCIATION_TINY_VOICE_H_

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pronunciation/pronunciations.h"
#include "pronunciation/speech_text.h"

namespace tiny_voice {

inline std::vector<std::string> phones() {
  std::vector<std::string> names = {"_", "^", " ", ",", ".", "?", "!"};
  for (const char* consonant : {"B",  "CH", "D", "DH", "F",  "G", "HH", "JH", "K", "L", "M", "N",
                                "NG", "P",  "R", "S",  "SH", "T", "TH", "V",  "W", "Y", "Z", "ZH"})
    names.push_back(consonant);
  for (const char* vowel :
       {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"})
    for (const char stress : {'0', '1', '2'}) names.push_back(std::string(vowel) + stress);
  return names;
}

inline std::string u32(size_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  return bytes;
}

inline std::map<std::string, std::string> words() {
  std::map<std::string, std::string> listed = {{"a", "AH0"},
                                               {"apple", "AE1 P AH0 L"},
                                               {"box", "B AA1 K S"},
                                               {"dog", "D AO1 G"},
                                               {"have", "HH AE1 V"},
                                               {"hello", "HH AH0 L OW1"},
                                               {"i", "AY1"},
                                               {"one", "W AH1 N"},
                                               {"read", "R IY1 D"},
                                               {"read/past", "R EH1 D"},
                                               {"read/verb", "R IY1 D"},
                                               {"record", "R EH1 K ER0 D"},
                                               {"record/noun", "R EH1 K ER0 D"},
                                               {"record/verb", "R IH0 K AO1 R D"},
                                               {"the", "DH AH0"},
                                               {"the/vowel", "DH IY0"},
                                               {"to", "T UW1"},
                                               {"walk", "W AO1 K"},
                                               {"want", "W AA1 N T"},
                                               {"world", "W ER1 L D"}};
  const char* const names[26] = {"EY1",
                                 "B IY1",
                                 "S IY1",
                                 "D IY1",
                                 "IY1",
                                 "EH1 F",
                                 "JH IY1",
                                 "EY1 CH",
                                 "AY1",
                                 "JH EY1",
                                 "K EY1",
                                 "EH1 L",
                                 "EH1 M",
                                 "EH1 N",
                                 "OW1",
                                 "P IY1",
                                 "K Y UW1",
                                 "AA1 R",
                                 "EH1 S",
                                 "T IY1",
                                 "Y UW1",
                                 "V IY1",
                                 "D AH1 B AH0 L Y UW0",
                                 "EH1 K S",
                                 "W AY1",
                                 "Z IY1"};
  for (int i = 0; i < 26; ++i) listed[std::string(1, static_cast<char>('a' + i)) + "."] = names[i];
  return listed;
}

// The file, as galago.runtime.language.pronunciations writes it.
inline std::string pronunciations() {
  const std::vector<std::string> names = phones();
  std::string entries, offsets, before, alphabet;
  size_t index = 0;
  for (const auto& [word, text] : words()) {
    if (index++ % 16 == 0) offsets += u32(entries.size()), before.clear();
    size_t shared = 0;
    while (shared < before.size() && shared < word.size() && before[shared] == word[shared])
      ++shared;
    std::string rows;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find(' ', at), text.size());
      const auto found = std::find(names.begin(), names.end(), text.substr(at, end - at));
      rows.push_back(static_cast<char>(found - names.begin()));
      at = end + 1;
    }
    entries.push_back(static_cast<char>(shared));
    entries.push_back(static_cast<char>(word.size() - shared));
    entries += word.substr(shared);
    entries.push_back(static_cast<char>(rows.size()));
    entries += rows;
    before = word;
  }
  for (const std::string& name : names) alphabet += name + "\n";
  return "GPRN" + u32(1) + u32(words().size()) + u32(offsets.size() / 4) + u32(names.size()) +
         u32(alphabet.size()) + u32(entries.size()) + alphabet + offsets + entries;
}

struct Voice {
  std::shared_ptr<const std::string> bytes = std::make_shared<std::string>(pronunciations());
  std::unique_ptr<const galago::Pronunciations> dictionary =
      galago::Pronunciations::parse(bytes, bytes->data(), bytes->size());
  galago::SpeechText speech{*dictionary, nullptr};
};

// Segments as text: "^ HH AH0 L OW1 , W ER1 L D !", one a line; pauses as <500>.
inline std::string lines_of(const Voice& voice, const galago::SpeechScript& script) {
  std::string lines;
  for (const galago::SpeechSegment& segment : script.segments) {
    for (const galago::SpeechPhone& phone : segment.phones) {
      const std::string& name = voice.dictionary->phones()[phone.row];
      if (!lines.empty() && lines.back() != '\n') lines += ' ';
      lines += name == " " ? "|" : name;
      if (phone.pause_ms > 0) lines += "<" + std::to_string(phone.pause_ms) + ">";
    }
    lines += '\n';
  }
  if (!lines.empty()) lines.pop_back();
  return lines;
}

}  // namespace tiny_voice

#endif  // GALAGO_TESTS_NATIVE_PRONUNCIATION_TINY_VOICE_H_
