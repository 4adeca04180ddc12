#include "ear/fbank.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/heap_bytes.h"
#include "base/status.h"
#include "base/vector_clones.h"

namespace galago {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kNumLanes = 16;  // frames side by side: one AVX-512 register, four of SSE or NEON

// The alignment is spelled out: by itself it would be that of the machine's own vectors, which
// the clones for larger ones must not meet.
using FloatLanes = float __attribute__((vector_size(kNumLanes * 4), aligned(kNumLanes * 4)));
using IntLanes = int32_t __attribute__((vector_size(kNumLanes * 4), aligned(kNumLanes * 4)));

// A quantity of kNumLanes frames.
struct Lanes {
  FloatLanes v;
};
static_assert(alignof(Lanes) == kNumLanes * sizeof(float), "std::vector<Lanes> must be aligned");

struct Twiddle {
  float re;
  float im;
};

struct MelBand {
  int bin_begin;
  int num_bins;
  int weight_begin;
};

// Natural logarithm of positive normal numbers, to about 1e-7 beside max(1, |log x|).
GALAGO_INLINE void log_lanes(const FloatLanes& x, FloatLanes* result) {
  IntLanes bits;
  std::memcpy(&bits, &x, sizeof bits);
  // Scale by a power of two into [sqrt(1/2), sqrt(2)): the bit pattern of sqrt(1/2) is the cut.
  constexpr int32_t kSqrtHalfBits = 0x3f3504f3;
  const IntLanes exponent = (bits - kSqrtHalfBits) >> 23;
  const IntLanes mantissa_bits = bits - (exponent << 23);
  FloatLanes m;
  std::memcpy(&m, &mantissa_bits, sizeof m);
  // log m = 2 atanh((m - 1) / (m + 1)), whose argument is within +-0.172: the first left out
  // term of the series is below 1e-9.
  const FloatLanes s = (m - 1.0f) / (m + 1.0f);
  const FloatLanes s2 = s * s;
  const FloatLanes series =
      2.0f * s * (1.0f + s2 * (1.0f / 3 + s2 * (1.0f / 5 + s2 * (1.0f / 7 + s2 * (1.0f / 9)))));
  // ln 2 in two parts, the first with so few bits that its multiples are exact.
  constexpr float kLn2High = 0.693359375f;
  constexpr float kLn2Low = -2.12194440e-4f;
  const FloatLanes e = __builtin_convertvector(exponent, FloatLanes);
  *result = e * kLn2High + (series + e * kLn2Low);
}

// x = re, im, re, im, ...: `size` complex numbers. In-place decimation in frequency, radix 4 (and
// one pass of radix 2 where size is no power of 4). Frequency k ends at
// digit_reversed_index(k, size).
GALAGO_INLINE void fft_lanes(Lanes* x, int size, const Twiddle* twiddles) {
  int length = size;
  for (; length >= 4; length /= 4) {
    const int quarter = length / 4;
    for (int i = 0; i < quarter; ++i) {
      const Twiddle w1 = twiddles[3 * i];
      const Twiddle w2 = twiddles[3 * i + 1];
      const Twiddle w3 = twiddles[3 * i + 2];
      for (int block = i; block < size; block += length) {
        Lanes* a = x + 2 * block;
        Lanes* b = a + 2 * quarter;
        Lanes* c = b + 2 * quarter;
        Lanes* d = c + 2 * quarter;
        const FloatLanes sum_ac_re = a[0].v + c[0].v, sum_ac_im = a[1].v + c[1].v;
        const FloatLanes sub_ac_re = a[0].v - c[0].v, sub_ac_im = a[1].v - c[1].v;
        const FloatLanes sum_bd_re = b[0].v + d[0].v, sum_bd_im = b[1].v + d[1].v;
        const FloatLanes sub_bd_re = b[0].v - d[0].v, sub_bd_im = b[1].v - d[1].v;
        a[0].v = sum_ac_re + sum_bd_re;
        a[1].v = sum_ac_im + sum_bd_im;
        const FloatLanes y1_re = sub_ac_re + sub_bd_im, y1_im = sub_ac_im - sub_bd_re;
        const FloatLanes y2_re = sum_ac_re - sum_bd_re, y2_im = sum_ac_im - sum_bd_im;
        const FloatLanes y3_re = sub_ac_re - sub_bd_im, y3_im = sub_ac_im + sub_bd_re;
        b[0].v = y1_re * w1.re - y1_im * w1.im;
        b[1].v = y1_re * w1.im + y1_im * w1.re;
        c[0].v = y2_re * w2.re - y2_im * w2.im;
        c[1].v = y2_re * w2.im + y2_im * w2.re;
        d[0].v = y3_re * w3.re - y3_im * w3.im;
        d[1].v = y3_re * w3.im + y3_im * w3.re;
      }
    }
    twiddles += 3 * quarter;
  }
  if (length == 2) {
    for (Lanes* pair = x; pair != x + 2 * size; pair += 4) {
      const FloatLanes re = pair[0].v, im = pair[1].v;
      pair[0].v = re + pair[2].v;
      pair[1].v = im + pair[3].v;
      pair[2].v = re - pair[2].v;
      pair[3].v = im - pair[3].v;
    }
  }
}

int digit_reversed_index(int k, int size) {
  if (size == 1) return 0;
  const int radix = size >= 4 ? 4 : 2;
  return (k % radix) * (size / radix) + digit_reversed_index(k / radix, size / radix);
}

double mel_scale(double hz) { return 1127.0 * std::log(1.0 + hz / 700.0); }

// Everything that one batch of kNumLanes frames needs. Plain pointers, because the cloned
// function below has to see through them.
struct Batch {
  int num_frames;  // [1, kNumLanes]
  int window_samples, hop_samples, fft_size, num_mels;
  float preemphasis, log_floor;
  const float* window;            // [window_samples]
  const Twiddle* twiddles;        // of each pass of the transform, three a butterfly
  const Twiddle* split_twiddles;  // exp(-2 pi i k / fft_size), k <= fft_size / 4
  const int* bin_index;           // [fft_size / 2], where the transform leaves frequency k
  const MelBand* bands;           // [num_mels]
  const float* mel_weights;
  Lanes* spectrum;  // [fft_size / 2][re, im]
  Lanes* power;     // [fft_size / 2]
};

// |x_k|^2 of the real signal x whose even samples were the real parts and odd ones the
// imaginary parts of the transformed z:
//   x_k = (z_k + z*_{n-k}) / 2 + exp(-2 pi i k / 2n) (z_k - z*_{n-k}) / 2i
GALAGO_INLINE void power_of_real_signal(const Batch& batch) {
  const int n = batch.fft_size / 2;
  const FloatLanes dc_sum = batch.spectrum[0].v + batch.spectrum[1].v;
  batch.power[0].v = dc_sum * dc_sum;
  for (int k = 1; k <= n / 2; ++k) {
    const Lanes* low = batch.spectrum + 2 * batch.bin_index[k];
    const Lanes* high = batch.spectrum + 2 * batch.bin_index[n - k];
    const Twiddle w = batch.split_twiddles[k];
    const FloatLanes even_re = 0.5f * (low[0].v + high[0].v);
    const FloatLanes even_im = 0.5f * (low[1].v - high[1].v);
    const FloatLanes odd_re = 0.5f * (low[1].v + high[1].v);
    const FloatLanes odd_im = 0.5f * (high[0].v - low[0].v);
    const FloatLanes turned_re = odd_re * w.re - odd_im * w.im;
    const FloatLanes turned_im = odd_re * w.im + odd_im * w.re;
    const FloatLanes low_re = even_re + turned_re, low_im = even_im + turned_im;
    const FloatLanes high_re = even_re - turned_re, high_im = even_im - turned_im;
    batch.power[k].v = low_re * low_re + low_im * low_im;
    batch.power[n - k].v = high_re * high_re + high_im * high_im;
  }
}

// samples -> spectrum: each lane its frame without mean, pre-emphasised, windowed, zero-padded.
GALAGO_INLINE void load_frames(const Batch& batch, const float* samples) {
  const int window = batch.window_samples;
  // The transform's input lies as re, im, re, im: sample i is lane vector i.
  Lanes* x = batch.spectrum;
  FloatLanes sum = {};
  if (batch.num_frames == kNumLanes) {
    for (int i = 0; i < window; ++i) {
      Lanes element;
      for (int lane = 0; lane < kNumLanes; ++lane)
        element.v[lane] = samples[lane * batch.hop_samples + i];
      x[i] = element;
      sum += element.v;
    }
  } else {
    for (int i = 0; i < window; ++i) {
      Lanes element = {};
      for (int lane = 0; lane < batch.num_frames; ++lane)
        element.v[lane] = samples[lane * batch.hop_samples + i];
      x[i] = element;
      sum += element.v;
    }
  }
  const FloatLanes mean = sum / static_cast<float>(window);
  FloatLanes previous = x[0].v - mean;  // the first sample is emphasised against itself
  for (int i = 0; i < window; ++i) {
    const FloatLanes current = x[i].v - mean;
    x[i].v = (current - batch.preemphasis * previous) * batch.window[i];
    previous = current;
  }
  for (int i = window; i < batch.fft_size; ++i) x[i].v = FloatLanes{};
}

GALAGO_VECTOR_CLONES
void compute_batch(const Batch& batch, const float* samples, float* out) {
  load_frames(batch, samples);
  fft_lanes(batch.spectrum, batch.fft_size / 2, batch.twiddles);
  power_of_real_signal(batch);
  const FloatLanes floor = FloatLanes{} + batch.log_floor;
  for (int mel = 0; mel < batch.num_mels; ++mel) {
    const MelBand band = batch.bands[mel];
    FloatLanes energy = {};
    for (int i = 0; i < band.num_bins; ++i)
      energy += batch.mel_weights[band.weight_begin + i] * batch.power[band.bin_begin + i].v;
    energy = energy > floor ? energy : floor;  // NaN becomes the floor
    FloatLanes log_energy;
    log_lanes(energy, &log_energy);
    for (int lane = 0; lane < batch.num_frames; ++lane)
      out[lane * batch.num_mels + mel] = log_energy[lane];
  }
}

void require(bool condition, const char* what) {
  if (!condition) fail(GALAGO_E_INVALID_ARGUMENT, "features: %s", what);
}

void validate(const FbankOptions& o, int max_frames) {
  const bool power_of_two = o.fft_size > 0 && (o.fft_size & (o.fft_size - 1)) == 0;
  require(o.sample_rate_hz >= 1000 && o.sample_rate_hz <= 384000,
          "sample_rate_hz must be in [1000, 384000]");
  require(power_of_two && o.fft_size >= 64 && o.fft_size <= 16384,
          "fft_size must be a power of two in [64, 16384]");
  require(o.window_samples >= 2 && o.window_samples <= o.fft_size,
          "window_samples must be in [2, fft_size]");
  require(o.hop_samples >= 1 && o.hop_samples <= 16384, "hop_samples must be in [1, 16384]");
  require(o.num_mels >= 1 && o.num_mels <= 1024, "num_mels must be in [1, 1024]");
  require(o.low_hz >= 0 && o.low_hz < o.high_hz &&
              o.high_hz <= 0.5f * static_cast<float>(o.sample_rate_hz),
          "0 <= low_hz < high_hz <= sample_rate_hz / 2 must hold");
  require(o.preemphasis >= 0 && o.preemphasis <= 1, "preemphasis must be in [0, 1]");
  require(o.log_floor >= 1.17549435e-38f && o.log_floor < 1,
          "log_floor must be a normal number below 1");
  require(max_frames >= 1 && max_frames <= (1 << 20), "max_frames must be in [1, 2^20]");
}

}  // namespace

struct Fbank::Impl {
  FbankOptions options;
  int max_frames;
  std::vector<float> window;
  std::vector<Twiddle> twiddles;
  std::vector<Twiddle> split_twiddles;
  std::vector<int> bin_index;
  std::vector<MelBand> bands;
  std::vector<float> mel_weights;
  std::vector<Lanes> spectrum;
  std::vector<Lanes> power;

  Impl(const FbankOptions& o, int frames) : options(o), max_frames(frames) {
    validate(o, frames);
    const int half = o.fft_size / 2;
    for (int i = 0; i < o.window_samples; ++i) {
      const double hann = 0.5 - 0.5 * std::cos(2 * kPi * i / (o.window_samples - 1));
      window.push_back(static_cast<float>(std::pow(hann, 0.85)));  // "Povey"
    }
    const auto turn = [](double part) {
      return Twiddle{static_cast<float>(std::cos(2 * kPi * part)),
                     static_cast<float>(-std::sin(2 * kPi * part))};
    };
    for (int length = half; length >= 4; length /= 4) {
      for (int i = 0; i < length / 4; ++i) {
        for (int power_of_w = 1; power_of_w <= 3; ++power_of_w)
          twiddles.push_back(turn(static_cast<double>(power_of_w * i) / length));
      }
    }
    for (int k = 0; k <= half / 2; ++k)
      split_twiddles.push_back(turn(static_cast<double>(k) / o.fft_size));
    for (int k = 0; k < half; ++k) bin_index.push_back(digit_reversed_index(k, half));
    make_mel_bands();
    spectrum.resize(static_cast<size_t>(o.fft_size));
    power.resize(static_cast<size_t>(half));
  }

  // Triangles that are equally wide on the mel scale; as in Kaldi, the bin of half the sample
  // rate belongs to none.
  void make_mel_bands() {
    const int num_bins = options.fft_size / 2;
    const double bin_hz = static_cast<double>(options.sample_rate_hz) / options.fft_size;
    const double mel_low = mel_scale(options.low_hz);
    const double mel_step = (mel_scale(options.high_hz) - mel_low) / (options.num_mels + 1);
    for (int mel = 0; mel < options.num_mels; ++mel) {
      const double left = mel_low + mel * mel_step;
      const double center = left + mel_step;
      const double right = center + mel_step;
      MelBand band = {0, 0, static_cast<int>(mel_weights.size())};
      for (int bin = 0; bin < num_bins; ++bin) {
        const double at = mel_scale(bin * bin_hz);
        if (at <= left || at >= right) continue;
        if (band.num_bins++ == 0) band.bin_begin = bin;
        const double weight =
            at <= center ? (at - left) / (center - left) : (right - at) / (right - center);
        mel_weights.push_back(static_cast<float>(weight));
      }
      bands.push_back(band);
    }
  }
};

Fbank::Fbank(const FbankOptions& options, int max_frames)
    : impl_(std::make_unique<Impl>(options, max_frames)) {}
Fbank::~Fbank() = default;
Fbank::Fbank(Fbank&&) noexcept = default;
Fbank& Fbank::operator=(Fbank&&) noexcept = default;

const FbankOptions& Fbank::options() const { return impl_->options; }

int Fbank::num_samples(int num_frames) const {
  if (num_frames <= 0) return 0;
  return (num_frames - 1) * impl_->options.hop_samples + impl_->options.window_samples;
}

size_t Fbank::num_bytes() const {
  const Impl& m = *impl_;
  return sizeof(m) + heap_bytes(m.window, m.twiddles, m.split_twiddles, m.bin_index, m.bands,
                                m.mel_weights, m.spectrum, m.power);
}

void Fbank::compute(const float* samples, int num_frames, float* out) {
  Impl& m = *impl_;
  const FbankOptions& o = m.options;
  num_frames = std::min(num_frames, m.max_frames);
  for (int first = 0; first < num_frames; first += kNumLanes) {
    const Batch batch = {std::min(kNumLanes, num_frames - first),
                         o.window_samples,
                         o.hop_samples,
                         o.fft_size,
                         o.num_mels,
                         o.preemphasis,
                         o.log_floor,
                         m.window.data(),
                         m.twiddles.data(),
                         m.split_twiddles.data(),
                         m.bin_index.data(),
                         m.bands.data(),
                         m.mel_weights.data(),
                         m.spectrum.data(),
                         m.power.data()};
    compute_batch(batch, samples + static_cast<size_t>(first) * static_cast<size_t>(o.hop_samples),
                  out + static_cast<size_t>(first) * static_cast<size_t>(o.num_mels));
  }
}

}  // namespace galago
