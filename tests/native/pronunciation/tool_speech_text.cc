// What the voice would speak, for comparison and timing from Python.
//
//   tool_speech_text --pronunciations FILE [--g2p FILE] [--ssml 1] < text     -> JSON
//     --bench 20 (adds ns_per_parse, best of 20)
//   tool_speech_text --pronunciations FILE --g2p FILE --words 1 < words       a word a line ->
//   phones tool_speech_text --g2p FILE --logits WORD                                 -> raw float32
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "pronunciation/g2p.h"
#include "pronunciation/pronunciations.h"
#include "pronunciation/speech_text.h"
#include "tool_io.h"

namespace {

std::shared_ptr<galago::FileBytes> read_bytes(const std::string& path) {
  return std::make_shared<galago::FileBytes>(galago::read_file(path, path, 1u << 28));
}

void print_script(const galago::SpeechScript& script, const std::vector<std::string>& names) {
  std::printf("{\"segments\": [");
  for (size_t s = 0; s < script.segments.size(); ++s) {
    std::printf("%s[", s == 0 ? "" : ", ");
    const auto& phones = script.segments[s].phones;
    for (size_t i = 0; i < phones.size(); ++i) {
      std::printf("%s{\"phone\": ", i == 0 ? "" : ", ");
      tool::print_string(names[phones[i].row]);
      if (!phones[i].is_mark) std::printf(", \"word\": %u", phones[i].word);
      if (phones[i].pause_ms > 0) std::printf(", \"pause_ms\": %u", phones[i].pause_ms);
      std::printf(", \"prosody\": %u}", phones[i].prosody);
    }
    std::printf("]");
  }
  std::printf("], \"words\": [");
  for (size_t w = 0; w < script.words.size(); ++w) {
    std::printf("%s{\"word\": ", w == 0 ? "" : ", ");
    tool::print_string(script.words[w].spoken);
    std::printf(", \"begin_byte\": %u, \"end_byte\": %u}", script.words[w].source.begin_byte,
                script.words[w].source.end_byte);
  }
  std::printf("], \"prosodies\": [");
  for (size_t p = 0; p < script.prosodies.size(); ++p) {
    const galago::Prosody& prosody = script.prosodies[p];
    std::printf("%s{\"rate\": %g, \"pitch_semitones\": %g, \"volume_db\": %g}", p == 0 ? "" : ", ",
                static_cast<double>(prosody.rate), static_cast<double>(prosody.pitch_semitones),
                static_cast<double>(prosody.volume_db));
  }
  std::printf("], \"num_skipped_characters\": %zu, \"num_unknown_words\": %zu",
              script.num_skipped_characters, script.num_unknown_words);
}

void print_words(const galago::SpeechText& speech, const std::vector<std::string>& names) {
  std::string line;
  while (std::getline(std::cin, line)) {
    bool is_first = true;
    for (const galago::SpeechSegment& segment : speech.parse(line, false).segments)
      for (const galago::SpeechPhone& phone : segment.phones) {
        if (phone.is_mark) continue;
        std::printf("%s%s", is_first ? "" : " ", names[phone.row].c_str());
        is_first = false;
      }
    std::printf("\n");
  }
}

void run(tool::Options* given) {
  const std::string pronunciations_path = given->text("pronunciations", "");
  const std::string g2p_path = given->text("g2p", "");
  const std::string logits_word = given->text("logits", "");
  const bool may_be_ssml = given->integer("ssml", 1) != 0;
  const bool is_word_list = given->integer("words", 0) != 0;
  const int bench_repeats = given->integer("bench", 0);
  given->refuse_unknown();
  std::unique_ptr<const galago::G2p> g2p;
  if (!g2p_path.empty()) {
    const auto bytes = read_bytes(g2p_path);
    g2p = galago::G2p::parse(bytes->data(), bytes->size());
  }
  if (!logits_word.empty()) {
    const std::vector<float> logits = g2p->logits(logits_word);
    std::fwrite(logits.data(), sizeof(float), logits.size(), stdout);
    return;
  }
  const auto bytes = read_bytes(pronunciations_path);
  const auto pronunciations = galago::Pronunciations::parse(bytes, bytes->data(), bytes->size());
  const galago::SpeechText speech(*pronunciations, g2p.get());
  if (is_word_list) return print_words(speech, pronunciations->phones());
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  print_script(speech.parse(text, may_be_ssml), pronunciations->phones());
  tool::print_bench("ns_per_parse", bench_repeats, 1, [&] { speech.parse(text, may_be_ssml); });
  std::printf("}\n");
}

}  // namespace

int main(int argc, char** argv) { return tool::run_tool(argc, argv, run); }
