// Writes what rows say with an attention decoder, for comparison and timing from Python.
//
//   tool_pieces --model decoder.bin < rows.f32     [num_rows][width] -> one JSON object
//     --most-pieces 64  --rows-per-call 7
//     --go-on-from 20 (the first rows are an utterance, and of all rows one that goes on from it
//       is written)  --rows-before 10 (without these it is written "alone", too)
//     --bench 100 (adds ns_of_hearing, ns_of_writing, best of 100)
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "decoding/piece_decoder.h"
#include "tool_io.h"

namespace {

void run(tool::Options* given) {
  const auto file = std::make_shared<const galago::FileBytes>(
      galago::read_file(given->text("model", ""), "decoder.bin", 1u << 30));
  const auto model = galago::PieceModel::parse(file);
  const auto most_pieces = static_cast<size_t>(given->integer("most-pieces", 64));
  const auto rows_per_call = static_cast<size_t>(given->integer("rows-per-call", 7));
  const int bench_repeats = given->integer("bench", 0);
  const auto num_rows_of_first = static_cast<size_t>(given->integer("go-on-from", 0));
  const auto num_rows_before = static_cast<size_t>(given->integer("rows-before", 0));
  given->refuse_unknown();

  const std::vector<float> rows = tool::read_floats(stdin);
  const size_t num_rows = rows.size() / model->width();
  galago::PieceDecoder decoder(model, std::max<size_t>(num_rows, 1), 2 * most_pieces);
  const auto hear_until = [&](size_t end) {
    for (size_t first = 0; first < end; first += rows_per_call) {
      decoder.hear(rows.data() + first * model->width(), std::min(rows_per_call, end - first));
    }
  };
  const auto hear = [&] {
    decoder.reset();
    hear_until(num_rows_of_first > 0 ? num_rows_of_first : num_rows);
  };
  hear();
  decoder.write(most_pieces);
  std::string alone;
  if (num_rows_of_first > 0) {
    decoder.go_on(num_rows_before);
    hear_until(num_rows);
    decoder.write(most_pieces);
    decoder.write_alone(most_pieces);
    alone = decoder.text();
    decoder.take_back();
  }
  std::printf("{\"kernel\": \"%s\", \"text\": ", galago::GroupMatrix::kernel());
  tool::print_string(decoder.text());
  if (num_rows_of_first > 0) {
    std::printf(", \"alone\": ");
    tool::print_string(alone);
  }
  std::printf(", \"words\": [");
  for (const galago::PieceDecoder::Word& word : decoder.words()) {
    std::printf("%s{\"word\": ", &word == decoder.words().data() ? "" : ", ");
    tool::print_string(decoder.text().substr(word.text_begin, word.text_bytes));
    std::printf(", \"confidence\": %.9g}", static_cast<double>(word.confidence));
  }
  std::printf("]");
  tool::print_bench("ns_of_hearing", bench_repeats, 1, hear);
  tool::print_bench("ns_of_writing", bench_repeats, 1, [&] { decoder.write(most_pieces); });
  std::printf("}\n");
}

}  // namespace

int main(int argc, char** argv) { return tool::run_tool(argc, argv, run); }
