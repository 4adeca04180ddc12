// Log-mel filter bank energies, equal to Kaldi's "fbank" without dither.
//
// For frame t, of samples [t * hop, t * hop + window):
//
//   subtract the mean -> pre-emphasis -> Povey window -> zero-pad to fft_size
//     -> |FFT|^2 -> triangles on the mel scale -> floor -> natural logarithm
//
// The frames of one call are computed side by side: every element of the transform is a
// small array with one frame in each lane, so all inner loops are straight lines for the
// vector unit whatever its width.
#ifndef GALAGO_NATIVE_EAR_FBANK_H_
#define GALAGO_NATIVE_EAR_FBANK_H_

#include <cstddef>
#include <memory>

namespace galago {

struct FbankOptions {
  int sample_rate_hz = 16000;
  int window_samples = 400;  // 25 ms
  int hop_samples = 160;     // 10 ms
  int fft_size = 512;        // a power of two, at least window_samples and 64
  int num_mels = 80;
  float low_hz = 20.0f;     // lower edge of the first triangle
  float high_hz = 8000.0f;  // upper edge of the last one, at most half the sample rate
  float preemphasis = 0.97f;
  float log_floor = 1.1920929e-07f;  // energies below it count as it; > 0
};

class Fbank {
 public:
  // All tables and scratch for max_frames frames a call are allocated here. Throws Error
  // (GALAGO_E_INVALID_ARGUMENT) naming the option that is out of range.
  Fbank(const FbankOptions& options, int max_frames);
  ~Fbank();
  Fbank(Fbank&&) noexcept;
  Fbank& operator=(Fbank&&) noexcept;

  // Reads samples[(num_frames - 1) * hop_samples + window_samples], in [-1, 1]; writes
  // out[num_frames][num_mels]. 0 <= num_frames <= max_frames. Allocates nothing. A frame's
  // features depend on its own samples only, bit for bit, wherever it stands in the call.
  void compute(const float* samples, int num_frames, float* out);

  const FbankOptions& options() const;

  // Samples that num_frames frames span; 0 for none.
  int num_samples(int num_frames) const;

  // On the heap.
  size_t num_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_FBANK_H_
