// Features of raw audio, for parity tests and timing from Python.
//
//   tool_fbank < audio.f32 > features.f32     16 kHz samples -> [num_frames][80], default options
//     --frames-per-call 32                    cut into calls as a session does
//     --bench 2000                            prints nanoseconds a frame instead, best of 2000
#include <algorithm>
#include <cstdio>
#include <vector>

#include "ear/fbank.h"
#include "tool_io.h"

int main(int argc, char** argv) {
  tool::Options given(argc, argv);
  const int frames_per_call = given.integer("frames-per-call", 32);
  const int bench_repeats = given.integer("bench", 0);
  given.refuse_unknown();

  const std::vector<float> samples = tool::read_floats(stdin);
  const galago::FbankOptions options;
  galago::Fbank fbank(options, frames_per_call);
  const int num_samples = static_cast<int>(samples.size());
  const int num_frames = num_samples < options.window_samples
                             ? 0
                             : (num_samples - options.window_samples) / options.hop_samples + 1;
  std::vector<float> features(static_cast<size_t>(num_frames * options.num_mels));
  const auto compute_all = [&] {
    for (int first = 0; first < num_frames; first += frames_per_call)
      fbank.compute(samples.data() + first * options.hop_samples,
                    std::min(frames_per_call, num_frames - first),
                    features.data() + first * options.num_mels);
  };
  compute_all();
  if (bench_repeats > 0) {
    std::printf("%.1f\n", tool::best_ns(bench_repeats, compute_all) / std::max(num_frames, 1));
  } else {
    std::fwrite(features.data(), sizeof(float), features.size(), stdout);
  }
  return 0;
}
