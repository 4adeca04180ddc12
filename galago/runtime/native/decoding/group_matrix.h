// Matrices of four-bit weights, and their products with vectors.
//
// A weight is an integer of -7 to 7 times the scale of its group: 32 inputs of one output. A vector
// is cut into the same groups, each with a scale of its own and integers of eight bits, so that
// products of integers are added up within a group, and floats only from group to group.
//
// Sixteen outputs stand together, in the order in which vector registers want them:
//
//   block of 16 outputs:  for each group   16 scales, bfloat16
//                                          4 x 64 bytes; byte 4 o + k of line j has the weights of
//                                          output o for the inputs 8 j + k (low half) and
//                                          8 j + 4 + k (high half), each plus 8
#ifndef GALAGO_NATIVE_DECODING_GROUP_MATRIX_H_
#define GALAGO_NATIVE_DECODING_GROUP_MATRIX_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace galago {

constexpr size_t kGroupInputs = 32;

// A vector in groups of eight-bit integers; its memory is that of the constructor.
class GroupVector {
 public:
  explicit GroupVector(size_t most_values)
      : integers_(most_values), scales_(most_values / kGroupInputs), sums_(scales_.size()) {}

  // num_values: a multiple of kGroupInputs, at most those of the constructor. What is no number
  // counts as 0.
  void assign(const float* values, size_t num_values);

  const int8_t* integers() const { return integers_.data(); }  // -127 to 127
  const float* scales() const { return scales_.data(); }       // of each group
  const int32_t* sums() const { return sums_.data(); }         // of each group's integers
  size_t num_bytes() const;

 private:
  std::vector<int8_t> integers_;
  std::vector<float> scales_;
  std::vector<int32_t> sums_;
};

// Points into a file's bytes, which outlive it.
class GroupMatrix {
 public:
  static constexpr size_t kBlockOutputs = 16;

  GroupMatrix() = default;
  // num_outputs: a multiple of kBlockOutputs; num_inputs: of kGroupInputs.
  GroupMatrix(const uint8_t* bytes, size_t num_outputs, size_t num_inputs)
      : bytes_(bytes), num_outputs_(num_outputs), num_inputs_(num_inputs) {}

  static constexpr size_t num_bytes(size_t num_outputs, size_t num_inputs) {
    return num_outputs / kBlockOutputs * (num_inputs / kGroupInputs) * kGroupBytes;
  }

  size_t num_outputs() const { return num_outputs_; }
  size_t num_inputs() const { return num_inputs_; }

  // products[o] = sum over i of weight[o][i] * vector[i].
  void multiply(const GroupVector& vector, float* products) const;
  // The weights of one output, [num_inputs].
  void row(size_t output, float* weights) const;

  bool is_finite() const;  // all scales are

  // How multiply() runs here: "avx512-vnni", "avx2" or "portable".
  static const char* kernel();
  // The same by plain code, whatever the machine has.
  void multiply_portably(const GroupVector& vector, float* products) const;

 private:
  static constexpr size_t kScaleBytes = 2 * kBlockOutputs;
  static constexpr size_t kGroupBytes = kScaleBytes + kBlockOutputs * kGroupInputs / 2;

  const uint8_t* bytes_ = nullptr;
  size_t num_outputs_ = 0;
  size_t num_inputs_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_GROUP_MATRIX_H_
