// Decodes CTC log-probabilities, for comparison and timing from Python.
//
//   tool_ctc --tokens "<blank>| |a|b" < rows.f32     [num_rows][num_tokens] -> one JSON object
//     --method greedy|beam  --beam-width 8  --token-beam 12  --rows-per-call 8
//     --hotword PHRASE=BOOST ...    --bench 100 (adds ns_per_row, best of 100)
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "decoding/ctc_decoder.h"
#include "tool_io.h"

namespace {

void run(tool::Options* given) {
  const std::vector<std::string> tokens = tool::split(
      given->text("tokens", "<blank>| |'|a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z"),
      '|');
  galago::CtcOptions options;
  options.method = given->text("method", "greedy") == "beam" ? galago::CtcMethod::kBeam
                                                             : galago::CtcMethod::kGreedy;
  options.beam_width = given->integer("beam-width", options.beam_width);
  options.token_beam_nats = given->number("token-beam", options.token_beam_nats);
  const int rows_per_call = given->integer("rows-per-call", 8);
  const int bench_repeats = given->integer("bench", 0);
  std::vector<galago::Hotword> hotwords;
  for (const std::string& hotword : given->all("hotword")) {
    const size_t equals = hotword.rfind('=');
    hotwords.push_back({hotword.substr(0, equals), std::stof(hotword.substr(equals + 1))});
  }
  given->refuse_unknown();

  const std::vector<float> rows = tool::read_floats(stdin);
  const int num_tokens = static_cast<int>(tokens.size());
  const int num_rows = static_cast<int>(rows.size()) / num_tokens;
  options.max_tokens = std::max(num_rows, 1);
  galago::CtcDecoder decoder(tokens, options);
  if (!hotwords.empty()) decoder.set_hotwords(galago::HotwordGraph::build(tokens, 1, hotwords));
  const auto advance = [&](int first) {
    decoder.advance(rows.data() + first * num_tokens, std::min(rows_per_call, num_rows - first),
                    num_tokens);
  };
  std::printf("{\"partials\": [");
  decoder.reset(0);
  for (int first = 0; first < num_rows; first += rows_per_call) {
    advance(first);
    std::printf("%s{\"stable_bytes\": %zu, \"text\": ", first == 0 ? "" : ", ",
                decoder.stable_bytes());
    tool::print_string(decoder.text());
    std::printf("}");
  }
  decoder.finish();
  std::printf("], \"text\": ");
  tool::print_string(decoder.text());
  std::printf(", ");
  tool::print_words(decoder.text(), decoder.words(), decoder.num_words());
  tool::print_bench("ns_per_row", bench_repeats, num_rows, [&] {
    decoder.reset(0);
    for (int first = 0; first < num_rows; first += rows_per_call) advance(first);
  });
  std::printf("}\n");
}

}  // namespace

int main(int argc, char** argv) { return tool::run_tool(argc, argv, run); }
