// Decodes open text over a word model, for comparison and timing from Python.
//
//   tool_words --model words.bin < rows.f32     [num_rows][num_phones] -> one JSON object
//     --beam-width 96  --beam 14  --phone-beam 8  --language-weight 1  --word-bonus 0
//     --rows-per-call 8
//     --show 1 (adds the model: phones, spellings, nodes, and ln P of every word
//              after every other, and after every two)
//     --bench 100 (adds ns_per_row, best of 100)
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "decoding/word_decoder.h"
#include "tool_io.h"

namespace {

std::shared_ptr<const galago::WordModel> load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  const auto bytes = std::make_shared<std::vector<char>>(std::istreambuf_iterator<char>(file),
                                                         std::istreambuf_iterator<char>());
  return galago::WordModel::parse(bytes, bytes->data(), bytes->size());
}

void show(const galago::WordModel& model) {
  std::printf(", \"num_nodes\": %zu, \"phones\": [", model.num_nodes());
  for (size_t i = 0; i < model.phones().size(); ++i) {
    if (i > 0) std::printf(", ");
    tool::print_string(model.phones()[i]);
  }
  std::printf("], \"spellings\": [");
  const auto num_words = static_cast<uint16_t>(model.num_words());
  for (uint16_t word = 0; word < num_words; ++word) {
    if (word > 0) std::printf(", ");
    tool::print_string(model.spelling(word));
  }
  std::printf("], \"log_probs\": [");
  using Histories = std::vector<galago::WordModel::History>;
  const auto print_row = [&](const galago::WordModel::History& before) {
    Histories after(num_words);
    for (uint16_t word = 0; word < num_words; ++word)
      std::printf("%s%.9g", word == 0 ? "[" : ", ",
                  static_cast<double>(model.log_prob(before, word, &after[word])));
    std::printf("]");
    return after;
  };
  std::vector<Histories> after_two;
  for (uint16_t before = 0; before < num_words; ++before) {
    if (before > 0) std::printf(", ");
    after_two.push_back(print_row(galago::WordModel::after(before)));
  }
  std::printf("], \"log_probs_after_two\": [");
  for (uint16_t first = 0; first < num_words; ++first) {
    std::printf(first == 0 ? "[" : ", [");
    for (uint16_t second = 0; second < num_words; ++second) {
      if (second > 0) std::printf(", ");
      print_row(after_two[first][second]);
    }
    std::printf("]");
  }
  std::printf("]");
}

void run(tool::Options* given) {
  const auto model = load(given->text("model", ""));
  galago::WordDecoderOptions options;
  options.beam_width = given->integer("beam-width", options.beam_width);
  options.beam_nats = given->number("beam", options.beam_nats);
  options.phone_nats = given->number("phone-beam", options.phone_nats);
  options.language_weight = given->number("language-weight", options.language_weight);
  options.word_bonus = given->number("word-bonus", options.word_bonus);
  const int rows_per_call = given->integer("rows-per-call", 8);
  const bool is_shown = given->integer("show", 0) != 0;
  const int bench_repeats = given->integer("bench", 0);
  given->refuse_unknown();

  const std::vector<float> rows = tool::read_floats(stdin);
  const int num_phones = static_cast<int>(model->phones().size());
  const int num_rows = static_cast<int>(rows.size()) / num_phones;
  options.max_tokens = std::max(num_rows, 1);
  galago::WordDecoder decoder(model, options);
  const auto advance = [&](int first) {
    decoder.advance(rows.data() + first * num_phones, std::min(rows_per_call, num_rows - first),
                    num_phones);
  };
  for (int first = 0; first < num_rows; first += rows_per_call) advance(first);
  decoder.finish();
  std::printf("{\"text\": ");
  tool::print_string(decoder.text());
  std::printf(", ");
  tool::print_words(decoder.text(), decoder.words(), decoder.num_words());
  if (is_shown) show(*model);
  tool::print_bench("ns_per_row", bench_repeats, num_rows, [&] {
    decoder.reset(0);
    for (int first = 0; first < num_rows; first += rows_per_call) advance(first);
  });
  std::printf("}\n");
}

}  // namespace

int main(int argc, char** argv) { return tool::run_tool(argc, argv, run); }
