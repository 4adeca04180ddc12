// Features against the definition in double precision, and what holds whatever the input is.
#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <random>
#include <vector>

#include "base/status.h"
#include "check.h"
#include "ear/fbank.h"

namespace {

using galago::Fbank;
using galago::FbankOptions;

constexpr double kPi = 3.14159265358979323846;

double mel_scale(double hz) { return 1127.0 * std::log(1.0 + hz / 700.0); }

// One frame as the definition says it: a plain Fourier sum, no tables, all in double.
std::vector<double> plain_frame(const FbankOptions& o, const float* samples) {
  std::vector<double> x(static_cast<size_t>(o.fft_size), 0.0);
  double mean = 0;
  for (int i = 0; i < o.window_samples; ++i) mean += samples[i];
  mean /= o.window_samples;
  for (int i = 0; i < o.window_samples; ++i) {
    const double previous = samples[std::max(i - 1, 0)] - mean;
    const double hann = 0.5 - 0.5 * std::cos(2 * kPi * i / (o.window_samples - 1));
    x[static_cast<size_t>(i)] =
        (samples[i] - mean - o.preemphasis * previous) * std::pow(hann, 0.85);
  }
  std::vector<double> power;
  for (int k = 0; k < o.fft_size / 2; ++k) {
    std::complex<double> sum;
    for (int i = 0; i < o.window_samples; ++i)
      sum += x[static_cast<size_t>(i)] *
             std::polar(1.0, -2 * kPi * static_cast<double>(k) * i / o.fft_size);
    power.push_back(std::norm(sum));
  }
  std::vector<double> mels;
  const double low = mel_scale(o.low_hz);
  const double step = (mel_scale(o.high_hz) - low) / (o.num_mels + 1);
  for (int m = 0; m < o.num_mels; ++m) {
    double energy = 0;
    for (int k = 0; k < o.fft_size / 2; ++k) {
      const double at = mel_scale(static_cast<double>(k) * o.sample_rate_hz / o.fft_size);
      const double distance = std::abs(at - (low + (m + 1) * step)) / step;
      energy += std::max(0.0, 1.0 - distance) * power[static_cast<size_t>(k)];
    }
    mels.push_back(std::log(std::max(energy, static_cast<double>(o.log_floor))));
  }
  return mels;
}

std::vector<float> noise(size_t num_samples, float amplitude, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, amplitude);
  std::vector<float> samples(num_samples);
  for (float& sample : samples) sample = normal(random);
  return samples;
}

std::vector<float> compute(const FbankOptions& options, const std::vector<float>& samples,
                           int num_frames, int frames_per_call) {
  Fbank fbank(options, frames_per_call);
  std::vector<float> features(static_cast<size_t>(num_frames * options.num_mels));
  for (int first = 0; first < num_frames; first += frames_per_call)
    fbank.compute(samples.data() + first * options.hop_samples,
                  std::min(frames_per_call, num_frames - first),
                  features.data() + first * options.num_mels);
  return features;
}

void check_against_definition(const FbankOptions& options, const std::vector<float>& samples,
                              int num_frames) {
  const std::vector<float> features = compute(options, samples, num_frames, num_frames);
  double worst = 0;
  for (int frame = 0; frame < num_frames; ++frame) {
    const std::vector<double> plain =
        plain_frame(options, samples.data() + frame * options.hop_samples);
    for (int m = 0; m < options.num_mels; ++m)
      worst = std::max(worst,
                       std::abs(plain[static_cast<size_t>(m)] -
                                static_cast<double>(
                                    features[static_cast<size_t>(frame * options.num_mels + m)])));
  }
  CHECK_NEAR(worst, 0.0, 5e-4);
}

TEST(equal_to_the_definition) {
  const FbankOptions options;
  check_against_definition(options, noise(400 + 160 * 20, 0.1f, 1), 21);
  check_against_definition(options, noise(400 + 160 * 2, 1e-4f, 2), 3);
}

TEST(other_sizes_are_equal_to_the_definition) {
  FbankOptions options;
  options.sample_rate_hz = 8000;
  options.window_samples = 200;
  options.hop_samples = 80;
  options.fft_size = 256;  // its half is no power of 4
  options.num_mels = 23;
  options.low_hz = 100;
  options.high_hz = 3800;
  check_against_definition(options, noise(200 + 80 * 17, 0.1f, 3), 18);
}

TEST(silence_is_the_floor) {
  const FbankOptions options;
  const std::vector<float> silence(400 + 160 * 4, 0.0f);
  for (const float feature : compute(options, silence, 5, 5))
    CHECK_NEAR(feature, std::log(options.log_floor), 1e-5);
  const std::vector<float> constant(400 + 160 * 4, 0.25f);  // the mean is removed
  for (const float feature : compute(options, constant, 5, 5))
    CHECK_NEAR(feature, std::log(options.log_floor), 1e-5);
}

TEST(features_do_not_depend_on_how_the_stream_is_cut) {
  const FbankOptions options;
  constexpr int kNumFrames = 67;
  const std::vector<float> samples = noise(400 + 160 * (kNumFrames - 1), 0.1f, 4);
  const std::vector<float> whole = compute(options, samples, kNumFrames, kNumFrames);
  for (const int frames_per_call : {1, 3, 15, 16, 17, 32})
    CHECK(compute(options, samples, kNumFrames, frames_per_call) == whole);
}

TEST(no_frames_write_nothing) {
  Fbank fbank(FbankOptions{}, 4);
  float out = 7.0f;
  fbank.compute(nullptr, 0, &out);
  CHECK_EQ(out, 7.0f);
  CHECK_EQ(fbank.num_samples(0), 0);
  CHECK_EQ(fbank.num_samples(1), 400);
  CHECK_EQ(fbank.num_samples(3), 720);
}

TEST(a_bad_sample_stays_in_its_frames_and_is_finite) {
  const FbankOptions options;
  std::vector<float> samples = noise(400 + 160 * 15, 0.1f, 5);
  const std::vector<float> before = compute(options, samples, 16, 16);
  samples[0] = std::numeric_limits<float>::quiet_NaN();  // of frame 0 alone
  const std::vector<float> after = compute(options, samples, 16, 16);
  for (size_t i = 0; i < after.size(); ++i) {
    if (i < 80) {
      CHECK_NEAR(after[i], std::log(options.log_floor), 1e-5);
    } else {
      CHECK_EQ(after[i], before[i]);
    }
  }
}

TEST(options_out_of_range_are_named) {
  const auto with = [](auto change) {
    FbankOptions options;
    change(&options);
    return options;
  };
  CHECK_THROWS(Fbank(with([](FbankOptions* o) { o->fft_size = 500; }), 1), "fft_size");
  CHECK_THROWS(Fbank(with([](FbankOptions* o) { o->window_samples = 600; }), 1), "window_samples");
  CHECK_THROWS(Fbank(with([](FbankOptions* o) { o->hop_samples = 0; }), 1), "hop_samples");
  CHECK_THROWS(Fbank(with([](FbankOptions* o) { o->num_mels = 0; }), 1), "num_mels");
  CHECK_THROWS(Fbank(with([](FbankOptions* o) { o->high_hz = 9000; }), 1), "high_hz");
  CHECK_THROWS(Fbank(with([](FbankOptions* o) { o->low_hz = NAN; }), 1), "low_hz");
  CHECK_THROWS(Fbank(with([](FbankOptions* o) { o->preemphasis = 2; }), 1), "preemphasis");
  CHECK_THROWS(Fbank(with([](FbankOptions* o) { o->log_floor = 0; }), 1), "log_floor");
  CHECK_THROWS(Fbank(FbankOptions{}, 0), "max_frames");
}

}  // namespace
