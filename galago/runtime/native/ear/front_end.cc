#include "ear/front_end.h"

#include <algorithm>
#include <tuple>

namespace galago {
namespace {

class LogMelFrontEnd : public FrontEnd {
 public:
  LogMelFrontEnd(const FbankOptions& options, int max_frames) : fbank_(options, max_frames) {}

  void compute(const float* samples, int num_frames, float* out) override {
    fbank_.compute(samples, num_frames, out);
  }
  size_t num_bytes() const override { return sizeof(*this) + fbank_.num_bytes(); }

 private:
  Fbank fbank_;
};

class RawFrontEnd : public FrontEnd {
 public:
  explicit RawFrontEnd(int hop_samples) : hop_samples_(hop_samples) {}

  void compute(const float* samples, int num_frames, float* out) override {
    std::copy_n(samples, num_frames * hop_samples_, out);
  }
  size_t num_bytes() const override { return sizeof(*this); }

 private:
  const int hop_samples_;
};

// Every option, as one value.
auto all(const FeatureOptions& o) {
  return std::tie(o.type, o.sample_rate_hz, o.window_samples, o.hop_samples, o.fft_size, o.num_mels,
                  o.low_hz, o.high_hz, o.preemphasis, o.log_floor);
}

}  // namespace

bool operator==(const FeatureOptions& a, const FeatureOptions& b) { return all(a) == all(b); }

std::unique_ptr<FrontEnd> make_front_end(const FeatureOptions& options, int max_frames) {
  if (options.type == FeatureOptions::Type::kRawSamples) {
    return std::make_unique<RawFrontEnd>(options.hop_samples);
  }
  return std::make_unique<LogMelFrontEnd>(options, max_frames);
}

}  // namespace galago
