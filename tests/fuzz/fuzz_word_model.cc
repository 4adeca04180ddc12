// Word models: whatever the bytes, an Error or something that decodes.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/status.h"
#include "decoding/word_decoder.h"
#include "decoding/word_model_builder.h"
#include "seeds.h"

namespace {

constexpr int kMaxPhones = 255;

std::string text_of(const Bytes& bytes) { return std::string(bytes.begin(), bytes.end()); }

// As wide as a model may ask for; the phones that are heard are those of the seeds.
std::vector<float> rows() {
  const std::vector<int> heard = TinyWords().builder.classes("_wont_tu_kkar_pet_at_tu_");
  std::vector<float> rows(heard.size() * kMaxPhones, std::log(0.01f));
  for (size_t i = 0; i < heard.size(); ++i)
    rows[i * kMaxPhones + static_cast<size_t>(heard[i])] = std::log(0.9f);
  return rows;
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  WordModelBuilder small("_ab");
  small.add_word("ab", {"ab", "b"}, -1.0f);
  return {text_of(TinyWords().builder.bytes()), text_of(small.bytes())};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<float> heard = rows();
  try {
    const auto model = parse_word_model(data, size);
    read_all(*model);
    galago::WordDecoderOptions options;
    options.beam_width = 16;
    options.max_tokens = 32;
    galago::WordDecoder decoder(model, options);
    const int num_rows = static_cast<int>(heard.size()) / kMaxPhones;
    for (int first = 0; first < num_rows; first += 5)
      decoder.advance(heard.data() + first * kMaxPhones, std::min(5, num_rows - first), kMaxPhones);
    decoder.finish();
  } catch (const galago::Error&) {
  }
  return 0;
}
