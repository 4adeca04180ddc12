// Products with four-bit weights: what plain numbers give, by every kernel of this machine.
#include "decoding/group_matrix.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "check.h"

using galago::GroupMatrix;
using galago::GroupVector;
using galago::kGroupInputs;

namespace {

constexpr size_t kOutputs = 48, kInputs = 96;

struct Made {
  std::vector<uint8_t> bytes;
  std::vector<float> weights;  // [kOutputs][kInputs]
};

Made random_matrix(unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> integer(-7, 7);
  Made made{std::vector<uint8_t>(GroupMatrix::num_bytes(kOutputs, kInputs)),
            std::vector<float>(kOutputs * kInputs)};
  uint8_t* at = made.bytes.data();
  for (size_t block = 0; block < kOutputs / 16; ++block) {
    for (size_t group = 0; group < kInputs / kGroupInputs; ++group) {
      float scales[16];
      for (size_t o = 0; o < 16; ++o) {
        const float scale = 0.01f * static_cast<float>(1 + random() % 50);
        uint32_t bits;
        std::memcpy(&bits, &scale, sizeof bits);
        bits &= 0xFFFF0000u;
        std::memcpy(&scales[o], &bits, sizeof bits);
        *at++ = static_cast<uint8_t>(bits >> 16);
        *at++ = static_cast<uint8_t>(bits >> 24);
      }
      for (size_t line = 0; line < 4; ++line) {
        for (size_t o = 0; o < 16; ++o) {
          for (size_t k = 0; k < 4; ++k) {
            const int low = integer(random), high = integer(random);
            *at++ = static_cast<uint8_t>((low + 8) | (high + 8) << 4);
            float* const row = made.weights.data() + (16 * block + o) * kInputs +
                               group * kGroupInputs + 8 * line + k;
            row[0] = scales[o] * static_cast<float>(low);
            row[4] = scales[o] * static_cast<float>(high);
          }
        }
      }
    }
  }
  return made;
}

std::vector<float> random_vector(unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(kInputs);
  for (float& value : values) value = normal(random);
  return values;
}

}  // namespace

TEST(a_product_is_that_of_the_numbers) {
  const Made made = random_matrix(1);
  const GroupMatrix matrix(made.bytes.data(), kOutputs, kInputs);
  const std::vector<float> x = random_vector(2);
  GroupVector vector(kInputs);
  vector.assign(x.data(), kInputs);
  std::vector<float> products(kOutputs), portable(kOutputs), row(kInputs);
  matrix.multiply(vector, products.data());
  matrix.multiply_portably(vector, portable.data());
  for (size_t o = 0; o < kOutputs; ++o) {
    double of_integers = 0, exact = 0;
    matrix.row(o, row.data());
    for (size_t i = 0; i < kInputs; ++i) {
      const float weight = made.weights[o * kInputs + i];
      CHECK_NEAR(row[i], weight, 1e-6);
      const float rounded =
          static_cast<float>(vector.integers()[i]) * vector.scales()[i / kGroupInputs];
      CHECK_NEAR(rounded, x[i], 0.5f * vector.scales()[i / kGroupInputs] + 1e-6);
      of_integers += static_cast<double>(weight) * static_cast<double>(rounded);
      exact += static_cast<double>(weight) * static_cast<double>(x[i]);
    }
    CHECK_NEAR(products[o], of_integers, 1e-3);
    CHECK_NEAR(portable[o], of_integers, 1e-3);
    CHECK_NEAR(products[o], exact, 0.5);
  }
}

TEST(the_largest_integers_do_not_overflow) {
  std::vector<uint8_t> bytes(GroupMatrix::num_bytes(16, kGroupInputs), 0xFF);    // 7 everywhere
  for (size_t o = 0; o < 16; ++o) bytes[2 * o] = 0x80, bytes[2 * o + 1] = 0x3F;  // scale 1
  const GroupMatrix matrix(bytes.data(), 16, kGroupInputs);
  for (const float sign : {1.0f, -1.0f}) {
    const std::vector<float> x(kGroupInputs, 127.0f * sign);
    GroupVector vector(kGroupInputs);
    vector.assign(x.data(), kGroupInputs);
    float products[16], portable[16];
    matrix.multiply(vector, products);
    matrix.multiply_portably(vector, portable);
    for (size_t o = 0; o < 16; ++o) {
      CHECK_NEAR(products[o], sign * 7 * 127 * 32, 0.1);
      CHECK_NEAR(portable[o], products[o], 0.1);
    }
  }
}

TEST(what_is_no_number_counts_as_nothing) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float odd : {nan, infinity, -infinity}) {
    std::vector<float> x(kInputs, 0.0f);
    x[3] = odd;
    x[40] = 2.0f;
    GroupVector vector(kInputs);
    vector.assign(x.data(), kInputs);
    CHECK(vector.integers()[3] == 0);
    CHECK(vector.integers()[40] == 127);
    CHECK(std::isfinite(vector.scales()[0]));
  }
}

TEST(a_scale_that_is_no_number_is_found) {
  Made made = random_matrix(3);
  CHECK(GroupMatrix(made.bytes.data(), kOutputs, kInputs).is_finite());
  made.bytes[0] = 0x80, made.bytes[1] = 0x7F;  // infinity
  CHECK(!GroupMatrix(made.bytes.data(), kOutputs, kInputs).is_finite());
}
