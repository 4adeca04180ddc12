// What the tools that Python tests drive share: raw floats in, JSON out, options by name.
#ifndef GALAGO_TESTS_NATIVE_TOOL_IO_H_
#define GALAGO_TESTS_NATIVE_TOOL_IO_H_

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "decoding/ctc_decoder.h"

namespace tool {

inline std::vector<float> read_floats(std::FILE* file) {
  std::vector<float> values;
  float block[4096];
  size_t num_read;
  while ((num_read = std::fread(block, sizeof(float), 4096, file)) > 0)
    values.insert(values.end(), block, block + num_read);
  return values;
}

// "--name value" pairs, in any order; ends the tool where something else stands.
class Options {
 public:
  Options(int argc, char** argv) {
    for (int i = 1; i < argc; i += 2) {
      const std::string_view name = argv[i];
      if (name.substr(0, 2) != "--" || i + 1 == argc) refuse(argv[i]);
      given_.push_back({argv[i] + 2, argv[i + 1]});
    }
  }
  std::string text(const char* name, const char* otherwise) {
    const std::vector<std::string> values = all(name);
    return values.empty() ? otherwise : values.back();
  }
  std::vector<std::string> all(const char* name) {
    std::vector<std::string> values;
    for (Given& option : given_) {
      if (option.name != name) continue;
      option.is_known = true;
      values.push_back(option.value);
    }
    return values;
  }
  int integer(const char* name, int otherwise) {
    const std::string value = text(name, "");
    return value.empty() ? otherwise : std::atoi(value.c_str());
  }
  float number(const char* name, float otherwise) {
    const std::string value = text(name, "");
    return value.empty() ? otherwise : std::strtof(value.c_str(), nullptr);
  }
  void refuse_unknown() const {
    for (const Given& option : given_)
      if (!option.is_known) refuse(option.name.c_str());
  }

 private:
  struct Given {
    std::string name;
    std::string value;
    bool is_known = false;
  };
  [[noreturn]] static void refuse(const char* what) {
    std::fprintf(stderr, "unknown or incomplete option: %s\n", what);
    std::exit(2);
  }
  std::vector<Given> given_;
};

inline std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

inline void print_string(std::string_view text) {
  std::putchar('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') std::putchar('\\');
    if (static_cast<unsigned char>(c) < 0x20) {
      std::printf("\\u%04x", c);
    } else {
      std::putchar(c);
    }
  }
  std::putchar('"');
}

inline void print_words(const char* text, const galago::DecodedWord* words, size_t num_words) {
  std::printf("\"words\": [");
  for (size_t w = 0; w < num_words; ++w) {
    std::printf("%s{\"word\": ", w == 0 ? "" : ", ");
    print_string({text + words[w].text_begin, words[w].text_bytes});
    std::printf(", \"begin_token\": %lld, \"end_token\": %lld, \"confidence\": %.9g}",
                static_cast<long long>(words[w].begin_token),
                static_cast<long long>(words[w].end_token),
                static_cast<double>(words[w].confidence));
  }
  std::printf("]");
}

// Nanoseconds of the fastest of `repeats` runs.
template <typename Run>
double best_ns(int repeats, const Run& run) {
  double best = 1e30;
  for (int i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count());
  }
  return best;
}

// Adds the nanoseconds of a run, shared out over what it does `count` times, to an open JSON
// object; nothing where `repeats` is 0.
template <typename Run>
void print_bench(const char* name, int repeats, int count, const Run& run) {
  if (repeats > 0) std::printf(", \"%s\": %.1f", name, best_ns(repeats, run) / count);
}

// The main function of a tool: what goes wrong is told, and the exit code says so.
template <typename Run>
int run_tool(int argc, char** argv, const Run& run) {
  Options given(argc, argv);
  try {
    run(&given);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace tool

#endif  // GALAGO_TESTS_NATIVE_TOOL_IO_H_
