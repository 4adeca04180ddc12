// A camera's image as the network wants it: cropped, scaled, normalised, in one pass over its rows.
//
//   +--------+------------------+--------+         "cover": the largest part in the middle that has
//   |        |                  |        |         the network's aspect ratio, then an antialiased
//   |        |       crop       |        |   ──>   bilinear scaling of it, as Pillow's
//   |        |                  |        |         image.resize(size, BILINEAR, box=crop) does
//   +--------+------------------+--------+
//
// The filter is a triangle, as wide as two steps of the output where the image shrinks and two
// pixels where it grows; its foot may reach over the crop's edge, never over the image's. An output
// row is a weighted sum of source rows (contiguous, so that it is vector code), then of columns.
//
// NV12 (BT.601, limited range, chroma in the middle of its four pixels) is scaled plane by plane
// and turned into RGB afterwards, when there is little left of it: both are weighted sums, so the
// order does not matter.
#ifndef GALAGO_NATIVE_EYE_IMAGE_SCALER_H_
#define GALAGO_NATIVE_EYE_IMAGE_SCALER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "galago/galago.h"

namespace galago {

// What the network sees: RGB, (value / 255 - mean) / std.
struct ImageSpec {
  int width = 0;  // pixels
  int height = 0;
  std::array<float, 3> mean{};
  std::array<float, 3> std{};
};

// An output is the sum of weights[begin + k] * source[first + k], k < count.
struct FilterTaps {
  int first;
  int count;
  size_t begin;
};

class ImageScaler {
 public:
  static constexpr int kMaxSide = 8192;  // pixels of a source image, either way

  // All memory is allocated here, for the largest image.
  explicit ImageScaler(const ImageSpec& spec);

  // GALAGO_OK, or GALAGO_E_INVALID_ARGUMENT with the message set. Real-time safe.
  static galago_status check(const galago_image& image) noexcept;

  // `image` has passed check(). out: [3][height][width]. Real-time safe: its time is bounded by the
  // pixels of the crop, plus, when the size of the images changes, its sides.
  void scale(const galago_image& image, float* out) noexcept;

  size_t num_bytes() const;

 private:
  struct Axis {
    std::vector<FilterTaps> taps;
    std::vector<float> weights;  // those of an output are followed by zeros, to a multiple of four
  };
  // A plane of pixels, and the part of its columns that is needed.
  struct Plane {
    Axis columns;
    Axis rows;
    int first_column;
    int num_columns;
  };

  static void allocate(Axis* axis, int num_outputs);
  static void compute(Axis* axis, int num_inputs, double begin, double length);
  void set_geometry(uint32_t format, int width, int height) noexcept;
  void compute_plane(Plane* plane, int width, int height, double pixel_size);
  // One output row of a plane of num_channels interleaved values into channels_[first_channel ...].
  void scale_row(const Plane& plane, const uint8_t* pixels, ptrdiff_t stride_bytes,
                 int num_channels, int y, int first_channel) noexcept;

  const ImageSpec spec_;
  std::array<float, 3> factors_;  // of a value in [0, 255]
  std::array<float, 3> offsets_;

  uint32_t format_ = 0;
  int width_ = 0;
  int height_ = 0;
  double crop_left_ = 0;  // in pixels of the image
  double crop_top_ = 0;
  double crop_width_ = 0;
  double crop_height_ = 0;
  Plane main_;    // RGB, BGR, grey or Y
  Plane chroma_;  // UV

  std::vector<float> row_;                      // weighted sum of source rows
  std::array<std::vector<float>, 3> channels_;  // one output row of each, [0, 255]
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EYE_IMAGE_SCALER_H_
