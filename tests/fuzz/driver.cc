// Runs a fuzz target without libFuzzer.
//
//   fuzz_x                       its seeds, every truncation of them, and 20000 mutations
//   fuzz_x --mutations 1000000   more of them
//   fuzz_x FILE...               these inputs only: a crash that libFuzzer found
//
// The random numbers are the same in every run, so a failure is repeatable.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "seeds.h"

namespace {

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

size_t below(std::mt19937* random, size_t limit) { return limit == 0 ? 0 : (*random)() % limit; }

// One to four changes: bits, bytes, numbers that parsers trip over, pieces moved, cut or doubled.
std::string mutate(std::string input, std::mt19937* random) {
  static const uint32_t kNumbers[] = {0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF};
  for (size_t left = 1 + below(random, 4); left > 0 && !input.empty(); --left) {
    const size_t at = below(random, input.size());
    switch (below(random, 6)) {
      case 0:
        input[at] = static_cast<char>(input[at] ^ (1 << below(random, 8)));
        break;
      case 1:
        input[at] = static_cast<char>((*random)());
        break;
      case 2: {
        const uint32_t number = kNumbers[below(random, 8)];
        for (size_t i = 0; i < 4 && at + i < input.size(); ++i) {
          input[at + i] = static_cast<char>(number >> (8 * i));
        }
        break;
      }
      case 3:
        input.erase(at, 1 + below(random, 16));
        break;
      case 4:
        input.insert(at, input.substr(below(random, input.size()), 1 + below(random, 32)));
        break;
      default:
        input.resize(at);
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  long num_mutations = 20'000;
  if (argc == 3 && std::string(argv[1]) == "--mutations") {
    num_mutations = std::atol(argv[2]);
  } else if (argc > 1) {
    for (int i = 1; i < argc; ++i) {
      std::ifstream file(argv[i], std::ios::binary);
      if (!file) {
        std::perror(argv[i]);
        return 1;
      }
      run(std::string(std::istreambuf_iterator<char>(file), {}));
    }
    return 0;
  }
  const std::vector<std::string> seeds = fuzz_seeds();
  for (const std::string& seed : seeds) {
    for (size_t length = 0; length <= seed.size(); ++length) run(seed.substr(0, length));
  }
  std::mt19937 random(20260101);
  for (long i = 0; i < num_mutations; ++i)
    run(mutate(seeds[below(&random, seeds.size())], &random));
  std::printf("%zu seeds, %ld mutations\n", seeds.size(), num_mutations);
  return 0;
}
