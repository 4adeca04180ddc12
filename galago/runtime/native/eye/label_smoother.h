// From a network's logits, image by image, to what is seen.
//
//   logits ─> softmax(logits / temperature) ─> smoothed over images by capture time ─> best classes
//
// After dt, an old image weighs 2^(-dt / half_life): how often the camera looks does not matter.
// Images more than 2 s apart have nothing to do with each other, nor have those whose time does not
// go forward.
#ifndef GALAGO_NATIVE_EYE_LABEL_SMOOTHER_H_
#define GALAGO_NATIVE_EYE_LABEL_SMOOTHER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace galago {

struct LabelOptions {
  float temperature = 1.0f;
  float accept_probability = 0.0f;  // below it the answer is "nothing I know"
  int smoothing_half_life_ms = 0;   // 0: every image for itself
};

class LabelSmoother {
 public:
  static constexpr size_t kMaxTop = 5;
  static constexpr int64_t kGapNs = 2'000'000'000;

  struct Scored {
    size_t label = 0;
    float probability = 0;
  };

  LabelSmoother(size_t num_labels, const LabelOptions& options);

  // Before the first image.
  void reset();

  // The logits of an image, [num_labels]. False, and nothing changed, if one is not finite.
  bool advance(const float* logits, int64_t capture_ns);

  // Of the last image, smoothed, best first; as many as there are, at most kMaxTop.
  const std::array<Scored, kMaxTop>& top() const { return top_; }
  size_t num_top() const { return num_top_; }
  bool is_known() const { return top_[0].probability >= options_.accept_probability; }

  size_t num_bytes() const { return (fresh_.size() + smoothed_.size()) * sizeof(float); }

 private:
  const LabelOptions options_;
  std::vector<float> fresh_;
  std::vector<float> smoothed_;
  std::array<Scored, kMaxTop> top_{};
  size_t num_top_;
  bool has_begun_ = false;
  int64_t last_ns_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EYE_LABEL_SMOOTHER_H_
