// Writes what rows say with an attention decoder, for comparison and timing from Python.
//
//   tool_pieces --model decoder.bin < rows.f32     [num_rows][width] -> one JSON object
//     --most-pieces 64  --rows-per-call 7
//     --bench 100 (adds ns_of_hearing, ns_of_writing, best of 100)
#include <algorithm>
#include <cstdio>
#include <memory>
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
  given->refuse_unknown();

  const std::vector<float> rows = tool::read_floats(stdin);
  const size_t num_rows = rows.size() / model->width();
  galago::PieceDecoder decoder(model, std::max<size_t>(num_rows, 1), most_pieces);
  const auto hear = [&] {
    decoder.reset();
    for (size_t first = 0; first < num_rows; first += rows_per_call) {
      decoder.hear(rows.data() + first * model->width(), std::min(rows_per_call, num_rows - first));
    }
  };
  hear();
  decoder.write(most_pieces);
  std::printf("{\"kernel\": \"%s\", \"text\": ", galago::GroupMatrix::kernel());
  tool::print_string(decoder.text());
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
