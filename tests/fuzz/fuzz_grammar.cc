// Compiled grammars and phrases: whatever the bytes, an Error or something that decodes.
#include <cmath>
#include <string>
#include <vector>

#include "base/status.h"
#include "decoding/automaton_builder.h"
#include "decoding/grammar_decoder.h"
#include "decoding/phrase_spotter.h"
#include "seeds.h"

namespace {

constexpr int kNumPhones = 4;
constexpr int kNumRows = 12;

std::string text_of(const Bytes& bytes) { return std::string(bytes.begin(), bytes.end()); }

std::vector<float> rows() {
  std::vector<float> rows(kNumRows * kNumPhones, std::log(0.01f));
  const int heard[kNumRows] = {0, 1, 1, 2, 2, 0, 2, 1, 3, 3, 0, 0};
  for (int i = 0; i < kNumRows; ++i) {
    rows[static_cast<size_t>(i * kNumPhones + heard[i])] = std::log(0.97f);
  }
  return rows;
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  AutomatonBuilder grammar;
  uint32_t state = grammar.put_out(0, kIntent, "move");
  state = grammar.say(state, "go", {1, 2});
  state = grammar.put_out(state, kSlotBegin, "where");
  const uint32_t back = grammar.say(state, "back", {2, 1, 3});
  const uint32_t away = grammar.say(state, "away", {1});
  grammar.set_final(grammar.put_out(back, kSlotEnd, "backwards"));
  grammar.set_final(grammar.put_out(away, kSlotEnd, "away"));
  AutomatonBuilder phrases;
  phrases.set_final(phrases.say(phrases.put_out(0, kPhrase, "ab"), "ab", {1, 2}));
  return {text_of(grammar.bytes(1)), text_of(phrases.bytes(2))};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<float> heard = rows();
  try {
    const auto automaton = galago::PhoneAutomaton::parse(data, size, test_phones_sha256());
    if (automaton->kind() == galago::PhoneAutomaton::Kind::kGrammar) {
      galago::GrammarOptions options;
      options.phone_log_priors.assign(kNumPhones, std::log(0.25f));
      options.max_tokens = 64;
      galago::GrammarDecoder decoder(automaton, options);
      decoder.reset(0);
      decoder.advance(heard.data(), kNumRows, kNumPhones);
      decoder.finish();
    } else {
      galago::PhraseSpotterOptions options;
      options.phone_log_priors.assign(kNumPhones, std::log(0.25f));
      galago::PhraseSpotter spotter(automaton, options);
      spotter.reset(0);
      spotter.advance(heard.data(), kNumRows, kNumPhones);
      spotter.finish();
    }
  } catch (const galago::Error&) {
  }
  return 0;
}
