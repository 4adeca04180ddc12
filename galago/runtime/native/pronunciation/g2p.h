// Letters to phones for words that no dictionary holds: galago/models/g2p.py, run natively.
//
// Half a million int8 weights and words of some ten letters: far too small for an inference
// engine, whose start alone would cost more than all words of an evening. Weights stay int8 in
// memory; a row of them is widened once and used for every letter of the word.
#ifndef GALAGO_NATIVE_PRONUNCIATION_G2P_H_
#define GALAGO_NATIVE_PRONUNCIATION_G2P_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace galago {

class G2p {
 public:
  static constexpr size_t kMaxLetters = 48;

  // A file of galago.quantize.g2p. Throws Error: GALAGO_E_CORRUPT says what is wrong,
  // GALAGO_E_UNSUPPORTED that the version is unknown here.
  static std::unique_ptr<const G2p> parse(const void* bytes, size_t num_bytes);

  const std::vector<std::string>& phones() const { return phones_; }

  // Rows of phones() for a word of 1 to kMaxLetters letters a-z and apostrophes; others are left
  // out. May answer none. Thread-safe; allocates some tens of KB for the time of the call.
  std::vector<uint8_t> pronounce(std::string_view word) const;

  // The logits behind it, [slots of all letters][1 + phones], 0 the blank: for comparison.
  std::vector<float> logits(std::string_view word) const;

 private:
  // y = x W + b; W is [num_in][num_out] int8 with a scale for each output.
  struct Linear {
    size_t num_in = 0, num_out = 0;
    std::vector<int8_t> weights;
    std::vector<float> scales, bias;
  };
  struct Norm {
    std::vector<float> gain, bias;
  };
  struct Block {
    Norm attention_norm, convolution_norm, feed_forward_norm;
    Linear qkv, out, expand, contract;
    std::vector<float> distance_bias;    // [heads][2 max_distance + 1]
    std::vector<float> taps, taps_bias;  // [kernel][width], [width]
  };
  struct Shape {
    size_t num_symbols, width, num_layers, num_heads, feed_forward, kernel, max_distance, slots;
    uint32_t condition_after;  // bit n: after n blocks
  };
  using Rows = std::vector<float>;  // [letters][something]

  G2p() = default;
  friend class G2pParser;
  static Rows apply(const Linear& linear, const Rows& rows);
  Rows normalized(const Norm& norm, const Rows& rows) const;
  void attend(const Block& block, Rows* rows) const;
  void convolve(const Block& block, Rows* rows) const;
  Rows slot_logits(const Rows& rows) const { return apply(head_, normalized(norm_, rows)); }

  Shape shape_ = {};
  std::vector<std::string> phones_;
  std::vector<int8_t> embedding_;        // [symbols][width]
  std::vector<float> embedding_scales_;  // [symbols]
  std::vector<Block> blocks_;
  Norm norm_;
  Linear head_, condition_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_PRONUNCIATION_G2P_H_
