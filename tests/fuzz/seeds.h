// What a fuzz target begins with when no corpus is given: at least one input that is whole.
#ifndef GALAGO_TESTS_FUZZ_SEEDS_H_
#define GALAGO_TESTS_FUZZ_SEEDS_H_

#include <cstdint>
#include <string>
#include <vector>

std::vector<std::string> fuzz_seeds();

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#endif  // GALAGO_TESTS_FUZZ_SEEDS_H_
