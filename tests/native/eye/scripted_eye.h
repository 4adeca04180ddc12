// An eye that a test can reason about: its logits are the mean of each channel of what it is given.
#ifndef GALAGO_TESTS_NATIVE_EYE_SCRIPTED_EYE_H_
#define GALAGO_TESTS_NATIVE_EYE_SCRIPTED_EYE_H_

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "eye/eye_stream.h"

namespace galago {

class ColourEngine : public Engine {
 public:
  explicit ColourEngine(const ImageSpec& image)
      : num_pixels_(static_cast<size_t>(image.width) * static_cast<size_t>(image.height)) {}

  std::unique_ptr<EngineStream> open_stream() override;
  const std::string& description() const override { return description_; }
  const std::string& precision() const override { return precision_; }

 private:
  friend class ColourStream;
  const size_t num_pixels_;
  const std::string description_ = "colours";
  const std::string precision_ = "f32";

 public:
  int64_t fail_at_image = -1;  // counted from the opening of the stream
  int64_t nan_at_image = -1;
  float gain = 10.0f;  // logits of a channel that is 1 everywhere
};

class ColourStream : public EngineStream {
 public:
  explicit ColourStream(ColourEngine* engine)
      : engine_(engine), image_(3 * engine->num_pixels_), logits_(3) {
    inputs_ = {image_.data()};
    outputs_ = {logits_.data()};
  }

  const char* run() noexcept override {
    const int64_t number = num_runs_++;
    if (number == engine_->fail_at_image) return "the test says so";
    for (size_t c = 0; c < 3; ++c) {
      double sum = 0;
      const float* plane = image_.data() + c * engine_->num_pixels_;
      for (size_t i = 0; i < engine_->num_pixels_; ++i) sum += plane[i];
      logits_[c] =
          engine_->gain * static_cast<float>(sum) / static_cast<float>(engine_->num_pixels_);
    }
    if (number == engine_->nan_at_image) logits_[1] = std::numeric_limits<float>::quiet_NaN();
    return nullptr;
  }

  size_t num_bytes() const override { return (image_.size() + logits_.size()) * sizeof(float); }

 private:
  ColourEngine* engine_;
  std::vector<float> image_;
  std::vector<float> logits_;
  int64_t num_runs_ = 0;
};

inline std::unique_ptr<EngineStream> ColourEngine::open_stream() {
  return std::make_unique<ColourStream>(this);
}

// Sees 8 x 6 pixels in [0, 1]; knows red, green and blue.
struct ScriptedEye {
  explicit ScriptedEye(const LabelOptions& scores = {1.0f, 0.5f, 0}) {
    opened.eye.image.width = 8;
    opened.eye.image.height = 6;
    opened.eye.image.std = {1, 1, 1};
    opened.eye.labels = {"red", "green", "blue"};
    opened.eye.scores = scores;
    engine = std::make_shared<ColourEngine>(opened.eye.image);
    opened.engine = engine;
  }

  OpenedEye opened;
  std::shared_ptr<ColourEngine> engine;
};

// An RGB8 picture of one colour.
struct Picture {
  Picture(int width, int height, uint8_t red, uint8_t green, uint8_t blue)
      : pixels(3 * static_cast<size_t>(width) * static_cast<size_t>(height)) {
    for (size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = i % 3 == 0 ? red : i % 3 == 1 ? green : blue;
    }
    image = GALAGO_IMAGE_INIT;
    image.format = GALAGO_RGB8;
    image.width = width;
    image.height = height;
    image.planes[0] = pixels.data();
  }
  const galago_image& at(int64_t capture_ns) {
    image.capture_ns = capture_ns;
    return image;
  }

  std::vector<uint8_t> pixels;
  galago_image image;
};

}  // namespace galago

#endif  // GALAGO_TESTS_NATIVE_EYE_SCRIPTED_EYE_H_
