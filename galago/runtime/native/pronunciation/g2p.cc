#include "pronunciation/g2p.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/byte_reader.h"
#include "base/vector_clones.h"

namespace galago {
namespace {

constexpr uint32_t kVersion = 1;
constexpr size_t kOpening = 1, kClosing = 2, kFirstLetter = 3, kApostrophe = kFirstLetter + 26;
constexpr float kNormEpsilon = 1e-5f;
constexpr uint8_t kBlank = 0;

// Symbols with the marks of beginning and end.
std::vector<size_t> symbols_of(std::string_view word) {
  std::vector<size_t> symbols = {kOpening};
  for (const char c : word.substr(0, G2p::kMaxLetters)) {
    if (c >= 'a' && c <= 'z') symbols.push_back(kFirstLetter + static_cast<size_t>(c - 'a'));
    if (c == '\'') symbols.push_back(kApostrophe);
  }
  symbols.push_back(kClosing);
  return symbols;
}

void softmax(float* values, size_t count) {
  const float largest = *std::max_element(values, values + count);
  float sum = 0.0f;
  for (size_t i = 0; i < count; ++i) sum += values[i] = std::exp(values[i] - largest);
  for (size_t i = 0; i < count; ++i) values[i] /= sum;
}

void add(const std::vector<float>& more, std::vector<float>* to) {
  for (size_t i = 0; i < to->size(); ++i) (*to)[i] += more[i];
}

// to += x * row, for every x in turn: where nearly all of the time of a word goes.
GALAGO_VECTOR_CLONES void accumulate(const int8_t* row, size_t num_out, const float* x,
                                     size_t x_stride, size_t num_rows, float* wide, float* to) {
  for (size_t o = 0; o < num_out; ++o) wide[o] = static_cast<float>(row[o]);
  for (size_t r = 0; r < num_rows; ++r) {
    const float factor = x[r * x_stride];
    float* y = to + r * num_out;
    for (size_t o = 0; o < num_out; ++o) y[o] += factor * wide[o];
  }
}

void rectify(std::vector<float>* values) {
  for (float& value : *values) value = std::max(value, 0.0f);
}

}  // namespace

class G2pParser {
 public:
  G2pParser(const void* bytes, size_t num_bytes) : reader_(bytes, num_bytes, "g2p") {}

  std::unique_ptr<const G2p> parse() {
    if (std::memcmp(reader_.take(4), "GG2P", 4) != 0)
      fail(GALAGO_E_CORRUPT, "g2p: does not begin with \"GG2P\"");
    const uint32_t version = reader_.u32();
    if (version != kVersion)
      fail(GALAGO_E_UNSUPPORTED, "g2p: version %u, this library reads %u", version, kVersion);
    std::unique_ptr<G2p> result(new G2p());
    G2p::Shape& shape = result->shape_;
    shape.num_symbols = reader_.u32_in("the number of symbols", kApostrophe + 1, kApostrophe + 1);
    shape.width = reader_.u32_in("the width", 1, 1024);
    shape.num_layers = reader_.u32_in("the number of layers", 1, 16);
    shape.num_heads = reader_.u32_in("the number of heads", 1, 16);
    shape.feed_forward = reader_.u32_in("the feed-forward width", 1, 4096);
    shape.kernel = reader_.u32_in("the kernel", 1, 15);
    shape.max_distance = reader_.u32_in("the largest distance", 1, 64);
    shape.slots = reader_.u32_in("the number of slots", 1, 4);
    shape.condition_after = reader_.u32();
    const uint32_t num_phones = reader_.u32_in("the number of phones", 1, 254);
    const uint32_t names_bytes = reader_.u32_in("the size of the names", 2, 4096);
    if (shape.width % shape.num_heads != 0 || shape.kernel % 2 == 0)
      fail(GALAGO_E_CORRUPT, "g2p: width %zu with %zu heads, kernel %zu", shape.width,
           shape.num_heads, shape.kernel);
    result->phones_ = reader_.names(num_phones, names_bytes);
    const size_t num_labels = shape.slots * (num_phones + 1);
    result->embedding_scales_ = floats(shape.num_symbols);
    result->embedding_ = bytes(shape.num_symbols * shape.width);
    for (size_t layer = 0; layer < shape.num_layers; ++layer)
      result->blocks_.push_back(block(shape));
    result->norm_ = norm(shape.width);
    result->head_ = linear(shape.width, num_labels);
    result->condition_ = linear(num_labels, shape.width);
    reader_.expect_end();
    return result;
  }

 private:
  std::vector<float> floats(size_t count) {
    // Bytes first: a corrupt count must not become a large allocation.
    if (reader_.left() / 4 < count) reader_.take(4 * count);
    std::vector<float> values(count);
    for (float& value : values) {
      value = reader_.f32();
      if (!std::isfinite(value)) fail(GALAGO_E_CORRUPT, "g2p: a weight is no number");
    }
    return values;
  }
  std::vector<int8_t> bytes(size_t count) {
    const int8_t* first = reinterpret_cast<const int8_t*>(reader_.take(count));
    return std::vector<int8_t>(first, first + count);
  }
  G2p::Norm norm(size_t width) {
    G2p::Norm norm;
    norm.gain = floats(width);
    norm.bias = floats(width);
    return norm;
  }
  G2p::Linear linear(size_t num_in, size_t num_out) {
    G2p::Linear linear;
    linear.num_in = num_in;
    linear.num_out = num_out;
    linear.scales = floats(num_out);
    linear.bias = floats(num_out);
    linear.weights = bytes(num_in * num_out);
    return linear;
  }
  G2p::Block block(const G2p::Shape& shape) {
    G2p::Block block;
    block.attention_norm = norm(shape.width);
    block.qkv = linear(shape.width, 3 * shape.width);
    block.out = linear(shape.width, shape.width);
    block.distance_bias = floats(shape.num_heads * (2 * shape.max_distance + 1));
    block.convolution_norm = norm(shape.width);
    block.taps = floats(shape.kernel * shape.width);
    block.taps_bias = floats(shape.width);
    block.feed_forward_norm = norm(shape.width);
    block.expand = linear(shape.width, shape.feed_forward);
    block.contract = linear(shape.feed_forward, shape.width);
    return block;
  }

  ByteReader reader_;
};

std::unique_ptr<const G2p> G2p::parse(const void* bytes, size_t num_bytes) {
  return G2pParser(bytes, num_bytes).parse();
}

G2p::Rows G2p::apply(const Linear& linear, const Rows& rows) {
  const size_t num_rows = rows.size() / linear.num_in, num_out = linear.num_out;
  Rows out(num_rows * num_out, 0.0f);
  std::vector<float> wide(num_out);
  for (size_t k = 0; k < linear.num_in; ++k)
    accumulate(linear.weights.data() + k * num_out, num_out, rows.data() + k, linear.num_in,
               num_rows, wide.data(), out.data());
  for (size_t row = 0; row < num_rows; ++row) {
    float* y = out.data() + row * num_out;
    for (size_t o = 0; o < num_out; ++o) y[o] = y[o] * linear.scales[o] + linear.bias[o];
  }
  return out;
}

G2p::Rows G2p::normalized(const Norm& norm, const Rows& rows) const {
  const size_t width = shape_.width;
  Rows out(rows.size());
  for (size_t at = 0; at < rows.size(); at += width) {
    float mean = 0.0f, variance = 0.0f;
    for (size_t i = 0; i < width; ++i) mean += rows[at + i];
    mean /= static_cast<float>(width);
    for (size_t i = 0; i < width; ++i) variance += (rows[at + i] - mean) * (rows[at + i] - mean);
    const float scale = 1.0f / std::sqrt(variance / static_cast<float>(width) + kNormEpsilon);
    for (size_t i = 0; i < width; ++i)
      out[at + i] = (rows[at + i] - mean) * scale * norm.gain[i] + norm.bias[i];
  }
  return out;
}

void G2p::attend(const Block& block, Rows* rows) const {
  const size_t width = shape_.width, head_width = width / shape_.num_heads;
  const size_t length = rows->size() / width;
  const auto farthest = static_cast<std::ptrdiff_t>(shape_.max_distance);
  const Rows qkv = apply(block.qkv, normalized(block.attention_norm, *rows));  // [L][3][heads][D]
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_width));
  Rows mixed(length * width, 0.0f);
  std::vector<float> weights(length);
  for (size_t head = 0; head < shape_.num_heads; ++head) {
    const float* bias = block.distance_bias.data() + head * (2 * shape_.max_distance + 1);
    for (size_t i = 0; i < length; ++i) {
      const float* query = qkv.data() + i * 3 * width + head * head_width;
      for (size_t j = 0; j < length; ++j) {
        const float* key = qkv.data() + j * 3 * width + width + head * head_width;
        float product = 0.0f;
        for (size_t d = 0; d < head_width; ++d) product += query[d] * key[d];
        const auto distance = std::clamp(
            static_cast<std::ptrdiff_t>(j) - static_cast<std::ptrdiff_t>(i), -farthest, farthest);
        weights[j] = product * scale + bias[distance + farthest];
      }
      softmax(weights.data(), length);
      float* out = mixed.data() + i * width + head * head_width;
      for (size_t j = 0; j < length; ++j) {
        const float* value = qkv.data() + j * 3 * width + 2 * width + head * head_width;
        for (size_t d = 0; d < head_width; ++d) out[d] += weights[j] * value[d];
      }
    }
  }
  add(apply(block.out, mixed), rows);
}

void G2p::convolve(const Block& block, Rows* rows) const {
  const size_t width = shape_.width, length = rows->size() / width, half = shape_.kernel / 2;
  const Rows inside = normalized(block.convolution_norm, *rows);
  for (size_t i = 0; i < length; ++i) {
    std::vector<float> out = block.taps_bias;
    for (size_t tap = 0; tap < shape_.kernel; ++tap) {
      if (i + tap < half || i + tap - half >= length) continue;  // zeros around the word
      const float* x = inside.data() + (i + tap - half) * width;
      const float* weights = block.taps.data() + tap * width;
      for (size_t c = 0; c < width; ++c) out[c] += x[c] * weights[c];
    }
    rectify(&out);
    for (size_t c = 0; c < width; ++c) (*rows)[i * width + c] += out[c];
  }
}

std::vector<float> G2p::logits(std::string_view word) const {
  const std::vector<size_t> symbols = symbols_of(word);
  const size_t width = shape_.width;
  Rows rows(symbols.size() * width);
  for (size_t i = 0; i < symbols.size(); ++i)
    for (size_t c = 0; c < width; ++c)
      rows[i * width + c] =
          static_cast<float>(embedding_[symbols[i] * width + c]) * embedding_scales_[symbols[i]];
  for (size_t layer = 0; layer < blocks_.size(); ++layer) {
    const Block& block = blocks_[layer];
    attend(block, &rows);
    convolve(block, &rows);
    Rows inside = apply(block.expand, normalized(block.feed_forward_norm, rows));
    rectify(&inside);
    add(apply(block.contract, inside), &rows);
    if ((shape_.condition_after >> (layer + 1) & 1u) == 0) continue;
    Rows probabilities = slot_logits(rows);
    const size_t num_labels = phones_.size() + 1;
    for (size_t at = 0; at < probabilities.size(); at += num_labels)
      softmax(probabilities.data() + at, num_labels);
    add(apply(condition_, probabilities), &rows);
  }
  return slot_logits(rows);
}

std::vector<uint8_t> G2p::pronounce(std::string_view word) const {
  const std::vector<float> scores = logits(word);
  const size_t num_labels = phones_.size() + 1;
  std::vector<uint8_t> phones;
  size_t before = kBlank;
  for (size_t at = 0; at < scores.size(); at += num_labels) {
    const float* slot = scores.data() + at;
    const auto best = static_cast<size_t>(std::max_element(slot, slot + num_labels) - slot);
    if (best != kBlank && best != before) phones.push_back(static_cast<uint8_t>(best - 1));
    before = best;
  }
  return phones;
}

}  // namespace galago
