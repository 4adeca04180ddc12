// Makes the bytes of attention decoders ("GPDC", version 1) of random weights for tests.
#ifndef GALAGO_TESTS_NATIVE_DECODING_PIECE_MODEL_BUILDER_H_
#define GALAGO_TESTS_NATIVE_DECODING_PIECE_MODEL_BUILDER_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/file.h"
#include "decoding/group_matrix.h"
#include "decoding/piece_decoder.h"

class PieceModelBuilder {
 public:
  static constexpr uint32_t kWidth = 32, kHeads = 2, kInner = 32, kRotary = 8, kPieces = 48;

  explicit PieceModelBuilder(unsigned seed) : random_(seed) {
    std::string names = "<0>\n<1>\n<2>\n";
    for (char letter = 'a'; letter <= 'z'; ++letter) names += std::string(" ") + letter + "\n";
    for (char letter = 'a'; letter <= 's'; ++letter) names += std::string(1, letter) + "\n";
    using galago::PieceModel;
    for (const uint32_t number : {PieceModel::kMagic, PieceModel::kVersion, kWidth, uint32_t{1},
                                  kHeads, kInner, kRotary, kPieces}) {
      put(number);
    }
    put(1e-5f);
    put(static_cast<uint32_t>(names.size()));
    bytes_.insert(bytes_.end(), names.begin(), names.end());
    put_matrix(kPieces, kWidth);
    for (int attention = 0; attention < 2; ++attention) {
      put_ones(kWidth);
      for (int matrix = 0; matrix < 4; ++matrix) put_matrix(kWidth, kWidth);
    }
    put_ones(kWidth);
    put_matrix(2 * kInner, kWidth);
    put_ones(2 * kInner);
    put_matrix(kWidth, kInner);
    put_ones(kWidth);
    put_ones(kWidth);
  }

  std::shared_ptr<const galago::PieceModel> parse() const {
    const auto file = std::make_shared<galago::FileBytes>(bytes_.size());
    std::copy(bytes_.begin(), bytes_.end(), file->data());
    return galago::PieceModel::parse(file);
  }

  // Of an encoder: [num_rows][kWidth].
  std::vector<float> rows(size_t num_rows) {
    std::normal_distribution<float> normal;
    std::vector<float> rows(num_rows * kWidth);
    for (float& value : rows) value = normal(random_);
    return rows;
  }

 private:
  template <typename Number>
  void put(Number number) {
    const auto* const bytes = reinterpret_cast<const uint8_t*>(&number);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof number);
  }
  void align() { bytes_.resize((bytes_.size() + 63) / 64 * 64); }
  void put_ones(size_t count) {
    align();
    for (size_t i = 0; i < count; ++i) put(1.0f);
  }
  void put_matrix(size_t num_outputs, size_t num_inputs) {
    align();
    const size_t num_blocks = num_outputs / galago::GroupMatrix::kBlockOutputs;
    for (size_t i = 0; i < num_blocks * (num_inputs / galago::kGroupInputs); ++i) {
      for (size_t output = 0; output < galago::GroupMatrix::kBlockOutputs; ++output) {
        put(uint16_t{0x3E00});  // 0.125 as a bfloat16
      }
      const size_t num_pairs = galago::GroupMatrix::kBlockOutputs * galago::kGroupInputs / 2;
      for (size_t pair = 0; pair < num_pairs; ++pair) {
        const auto low = 1 + random_() % 15, high = 1 + random_() % 15;
        bytes_.push_back(static_cast<uint8_t>(low | high << 4));
      }
    }
  }

  std::mt19937 random_;
  std::vector<uint8_t> bytes_;
};

#endif  // GALAGO_TESTS_NATIVE_DECODING_PIECE_MODEL_BUILDER_H_
