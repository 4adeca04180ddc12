// What stands between samples and the ear's network: log-mel energies, or nothing at all.
//
//   kaldi_log_mel   samples ─> Fbank ─> [num_frames][num_mels]
//   raw_samples     samples ──────────> [num_frames][hop_samples]     wav2vec 2.0, HuBERT
//
// Networks that hear raw samples begin with convolutions whose past is among their states: a frame
// is the samples of its hop, and no window reaches into the next chunk.
#ifndef GALAGO_NATIVE_EAR_FRONT_END_H_
#define GALAGO_NATIVE_EAR_FRONT_END_H_

#include <cstddef>
#include <memory>

#include "ear/fbank.h"

namespace galago {

// Of the options of log-mel energies, raw samples have sample_rate_hz, and window_samples equal to
// hop_samples.
struct FeatureOptions : FbankOptions {
  enum class Type { kLogMel, kRawSamples };
  Type type = Type::kLogMel;

  int values_per_frame() const { return type == Type::kLogMel ? num_mels : hop_samples; }
};

bool operator==(const FeatureOptions& a, const FeatureOptions& b);
inline bool operator!=(const FeatureOptions& a, const FeatureOptions& b) { return !(a == b); }

class FrontEnd {
 public:
  virtual ~FrontEnd() = default;

  // Reads samples[(num_frames - 1) * hop_samples + window_samples], in [-1, 1]; writes
  // out[num_frames][values_per_frame]. 0 <= num_frames <= max_frames. Allocates nothing.
  virtual void compute(const float* samples, int num_frames, float* out) = 0;

  virtual size_t num_bytes() const = 0;  // of it, and what it has on the heap
};

// For max_frames frames a call at most. Throws Error (GALAGO_E_INVALID_ARGUMENT) naming the option
// that is out of range.
std::unique_ptr<FrontEnd> make_front_end(const FeatureOptions& options, int max_frames);

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_FRONT_END_H_
