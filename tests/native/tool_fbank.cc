// Features of raw audio, for parity tests and timing from Python.
//
//   tool_fbank < audio.f32 > features.f32     16 kHz samples -> [num_frames][80], default options
//   tool_fbank --frames-per-call 32 < ...     the same, cut into calls as a session does
//   tool_fbank --bench 2000 < ...             prints nanoseconds a frame instead, best of 2000
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "fbank.h"

namespace {

std::vector<float> read_floats(std::FILE* file) {
  std::vector<float> values;
  float block[4096];
  size_t num_read;
  while ((num_read = std::fread(block, sizeof(float), 4096, file)) > 0)
    values.insert(values.end(), block, block + num_read);
  return values;
}

}  // namespace

int main(int argc, char** argv) {
  int frames_per_call = 32;
  int bench_repeats = 0;
  for (int i = 1; i < argc; i += 2) {
    const bool has_value = i + 1 < argc;
    if (has_value && std::strcmp(argv[i], "--frames-per-call") == 0) {
      frames_per_call = std::atoi(argv[i + 1]);
    } else if (has_value && std::strcmp(argv[i], "--bench") == 0) {
      bench_repeats = std::atoi(argv[i + 1]);
    } else {
      std::fprintf(stderr, "tool_fbank: unknown or incomplete option %s\n", argv[i]);
      return 2;
    }
  }
  const std::vector<float> samples = read_floats(stdin);
  const galago::FbankOptions options;
  galago::Fbank fbank(options, frames_per_call);
  const int num_samples = static_cast<int>(samples.size());
  const int num_frames = num_samples < options.window_samples
                             ? 0
                             : (num_samples - options.window_samples) / options.hop_samples + 1;
  std::vector<float> features(static_cast<size_t>(num_frames) *
                              static_cast<size_t>(options.num_mels));
  const auto compute_all = [&] {
    for (int first = 0; first < num_frames; first += frames_per_call) {
      fbank.compute(samples.data() + first * options.hop_samples,
                    std::min(frames_per_call, num_frames - first),
                    features.data() + first * options.num_mels);
    }
  };
  compute_all();
  if (bench_repeats == 0) {
    std::fwrite(features.data(), sizeof(float), features.size(), stdout);
    return 0;
  }
  double best_ns = 1e30;
  for (int repeat = 0; repeat < bench_repeats; ++repeat) {
    const auto begin = std::chrono::steady_clock::now();
    compute_all();
    const auto end = std::chrono::steady_clock::now();
    best_ns = std::min(best_ns, std::chrono::duration<double, std::nano>(end - begin).count());
  }
  std::printf("%.1f\n", best_ns / std::max(num_frames, 1));
  return 0;
}
