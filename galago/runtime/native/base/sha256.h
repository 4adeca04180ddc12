// SHA-256 (FIPS 180-4), for the hashes of manifest.json.
#ifndef GALAGO_NATIVE_BASE_SHA256_H_
#define GALAGO_NATIVE_BASE_SHA256_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace galago {

using Sha256Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  void update(const void* data, size_t num_bytes);
  // Ends the message; the object is not to be used after it.
  Sha256Digest finish();

 private:
  void process_block(const uint8_t* block);  // of 64 bytes

  uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t pending_[64] = {};
  size_t num_pending_ = 0;
  uint64_t num_bytes_ = 0;
};

Sha256Digest sha256(const void* data, size_t num_bytes);

// 64 lower-case hexadecimal digits.
std::string to_hex(const Sha256Digest& digest);

}  // namespace galago

#endif  // GALAGO_NATIVE_BASE_SHA256_H_
