// Decodes phone log-probabilities with a compiled grammar or phrases, for comparison and timing
// from Python.
//
//   tool_phones --compiled FILE --num-phones 40 < rows.f32    [num_rows][num_phones] -> JSON
//     --log-priors FILE.f32 (default: equal)  --prior-scale 0.3  --rows-per-call 8
//     --beam 30  --max-active 2048  --accept-mean -1  --accept-worst-word -2.5     of grammars
//     --token-rows FILE.f32  --tokens "<blank>| |a"  --bias 0  --phone-ratio 1
//     --character-ratio 1  --character-doubt -1  --accept 0.5    the acceptance of both heads
//     --threshold -1                                                              of phrases
//     --bench 100 (adds ns_per_row, best of 100)
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "decoding/grammar_decoder.h"
#include "decoding/phrase_spotter.h"
#include "tool_io.h"

namespace {

std::FILE* open_or_throw(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error("cannot read " + path);
  return file;
}

std::shared_ptr<const galago::PhoneAutomaton> read_automaton(const std::string& path) {
  std::FILE* file = open_or_throw(path);
  std::vector<uint8_t> bytes;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file))
    bytes.push_back(static_cast<uint8_t>(c));
  std::fclose(file);
  std::array<uint8_t, 32> phones_sha256 = {};  // whatever phones it was compiled for
  if (bytes.size() >= 64) std::copy(bytes.begin() + 32, bytes.begin() + 64, phones_sha256.begin());
  return galago::PhoneAutomaton::parse(bytes.data(), bytes.size(), phones_sha256);
}

struct Rows {
  std::vector<float> values;
  int num_phones;
  int rows_per_call;
  int count() const { return static_cast<int>(values.size()) / num_phones; }

  template <typename Decoder, typename After>
  void feed(Decoder* decoder, const After& after) const {
    for (int first = 0; first < count(); first += rows_per_call) {
      decoder->advance(values.data() + first * num_phones, std::min(rows_per_call, count() - first),
                       num_phones);
      after();
    }
  }
};

// The rows of the token head, and what an acceptance makes of them.
std::vector<float> read_acceptance(tool::Options* given, galago::GrammarOptions* grammar) {
  const std::string path = given->text("token-rows", "");
  const std::string tokens = given->text("tokens", "");
  galago::Acceptance acceptance;
  acceptance.bias = given->number("bias", 0);
  acceptance.phone_ratio = given->number("phone-ratio", 1);
  acceptance.character_ratio = given->number("character-ratio", 1);
  acceptance.character_doubt = given->number("character-doubt", -1);
  acceptance.threshold = given->number("accept", acceptance.threshold);
  if (path.empty()) return {};
  grammar->tokens = tool::split(tokens, '|');
  grammar->acceptance = acceptance;
  std::FILE* file = open_or_throw(path);
  std::vector<float> rows = tool::read_floats(file);
  std::fclose(file);
  return rows;
}

void decode_grammar(galago::GrammarDecoder* decoder, const Rows& rows,
                    const std::vector<float>& token_rows, int num_tokens, int bench_repeats) {
  int max_active_arcs = 0;
  std::printf("{\"partials\": [");
  bool is_first = true;
  decoder->reset(0);
  rows.feed(decoder, [&] {
    std::printf("%s{\"stable_bytes\": %zu, \"text\": ", is_first ? "" : ", ",
                decoder->stable_bytes());
    tool::print_string(decoder->text());
    std::printf("}");
    is_first = false;
    max_active_arcs = std::max(max_active_arcs, decoder->num_active_arcs());
  });
  if (num_tokens > 0)
    decoder->advance_tokens(token_rows.data(), static_cast<int>(token_rows.size()) / num_tokens,
                            num_tokens);
  const galago::GrammarResult& result = decoder->finish();
  std::printf("], \"text\": ");
  tool::print_string(decoder->text());
  std::printf(", ");
  tool::print_words(decoder->text(), decoder->words(), decoder->num_words());
  std::printf(", \"complete\": %s, \"accepted\": %s, \"confidence\": %.9g, \"intent\": ",
              result.complete ? "true" : "false", result.accepted ? "true" : "false",
              static_cast<double>(result.confidence));
  tool::print_string(result.intent);
  if (result.complete)
    std::printf(", \"mean_ratio\": %.9g, \"worst_word_ratio\": %.9g",
                static_cast<double>(result.mean_ratio),
                static_cast<double>(result.worst_word_ratio));
  std::printf(", \"slots\": [");
  for (size_t i = 0; i < result.num_slots; ++i) {
    std::printf("%s{\"name\": ", i == 0 ? "" : ", ");
    tool::print_string(result.slots[i].name);
    std::printf(", \"value\": ");
    tool::print_string(result.slots[i].value);
    std::printf(", \"score\": %.9g}", static_cast<double>(result.slots[i].score));
  }
  std::printf("], \"max_active_arcs\": %d", max_active_arcs);
  tool::print_bench("ns_per_row", bench_repeats, rows.count(), [&] {
    decoder->reset(0);
    rows.feed(decoder, [] {});
  });
  std::printf("}\n");
}

void spot_phrases(galago::PhraseSpotter* spotter, const Rows& rows, int bench_repeats) {
  std::printf("{\"detections\": [");
  bool is_first = true;
  const auto print = [&] {
    for (size_t i = 0; i < spotter->num_detections(); ++i) {
      const galago::SpottedPhrase& spotted = spotter->detections()[i];
      std::printf("%s{\"phrase\": ", is_first ? "" : ", ");
      tool::print_string(spotted.phrase);
      std::printf(", \"begin_token\": %lld, \"end_token\": %lld, \"confidence\": %.9g}",
                  static_cast<long long>(spotted.begin_token),
                  static_cast<long long>(spotted.end_token),
                  static_cast<double>(spotted.confidence));
      is_first = false;
    }
  };
  rows.feed(spotter, print);
  spotter->finish();
  print();
  std::printf("]");
  tool::print_bench("ns_per_row", bench_repeats, rows.count(), [&] { rows.feed(spotter, [] {}); });
  std::printf("}\n");
}

void run(tool::Options* given) {
  const auto automaton = read_automaton(given->text("compiled", ""));
  Rows rows;
  rows.num_phones = given->integer("num-phones", 40);
  rows.rows_per_call = given->integer("rows-per-call", 8);
  const int bench_repeats = given->integer("bench", 0);
  const std::string priors_path = given->text("log-priors", "");
  std::vector<float> log_priors(static_cast<size_t>(rows.num_phones),
                                -std::log(static_cast<float>(rows.num_phones)));
  if (!priors_path.empty()) {
    std::FILE* file = open_or_throw(priors_path);
    log_priors = tool::read_floats(file);
    std::fclose(file);
  }
  galago::GrammarOptions grammar;
  grammar.phone_log_priors = log_priors;
  grammar.prior_scale = given->number("prior-scale", grammar.prior_scale);
  grammar.accept_mean = given->number("accept-mean", grammar.accept_mean);
  grammar.accept_worst_word = given->number("accept-worst-word", grammar.accept_worst_word);
  grammar.beam_nats = given->number("beam", grammar.beam_nats);
  grammar.max_active_arcs = given->integer("max-active", grammar.max_active_arcs);
  const std::vector<float> token_rows = read_acceptance(given, &grammar);
  galago::PhraseSpotterOptions phrases;
  phrases.phone_log_priors = log_priors;
  phrases.prior_scale = grammar.prior_scale;
  phrases.threshold = given->number("threshold", phrases.threshold);
  given->refuse_unknown();

  rows.values = tool::read_floats(stdin);
  grammar.max_tokens = std::max(rows.count(), 1);
  if (automaton->kind() == galago::PhoneAutomaton::Kind::kGrammar) {
    galago::GrammarDecoder decoder(automaton, grammar);
    decode_grammar(&decoder, rows, token_rows, static_cast<int>(grammar.tokens.size()),
                   bench_repeats);
  } else {
    galago::PhraseSpotter spotter(automaton, phrases);
    spot_phrases(&spotter, rows, bench_repeats);
  }
}

}  // namespace

int main(int argc, char** argv) { return tool::run_tool(argc, argv, run); }
