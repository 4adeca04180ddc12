// SHA-256 against the examples of FIPS 180-4 and its lengths around the block boundary.
#include "base/sha256.h"

#include <string>

#include "check.h"

using galago::Sha256;
using galago::sha256;
using galago::to_hex;

namespace {

std::string hex_of(const std::string& text) { return to_hex(sha256(text.data(), text.size())); }

}  // namespace

TEST(published_examples_are_met) {
  CHECK_EQ(hex_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK_EQ(hex_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK_EQ(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK_EQ(hex_of(std::string(1'000'000, 'a')),
           "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(how_a_message_is_cut_changes_nothing) {
  for (size_t length : {size_t{1}, size_t{55}, size_t{56}, size_t{63}, size_t{64}, size_t{65},
                        size_t{119}, size_t{120}, size_t{128}, size_t{1000}}) {
    std::string text;
    for (size_t i = 0; i < length; ++i) text += static_cast<char>(i * 37);
    for (size_t block : {size_t{1}, size_t{7}, size_t{64}, size_t{100}}) {
      Sha256 hash;
      for (size_t i = 0; i < length; i += block) {
        hash.update(text.data() + i, std::min(block, length - i));
      }
      CHECK_EQ(to_hex(hash.finish()), hex_of(text));
    }
  }
}
