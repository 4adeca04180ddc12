#include "eye/image_scaler.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/status.h"
#include "base/vector_clones.h"
#include "role/role_stream.h"

namespace galago {
namespace {

constexpr size_t kTile = 256;  // values that are summed up at once: they stay in the first cache

using Float4 = float __attribute__((vector_size(16), aligned(16)));

GALAGO_INLINE Float4 load4(const float* values) {
  Float4 loaded;
  std::memcpy(&loaded, values, sizeof(loaded));
  return loaded;
}

// Bytes of a pixel in the first plane; 0: no known format.
int num_channels_of(uint32_t format) {
  switch (format) {
    case GALAGO_RGB8:
    case GALAGO_BGR8:
      return 3;
    case GALAGO_GRAY8:
    case GALAGO_NV12:
      return 1;
    default:
      return 0;
  }
}

int64_t stride_bytes(const galago_image& image, int plane) {
  if (image.row_stride_bytes[plane] != 0) return image.row_stride_bytes[plane];
  return int64_t{image.width} * num_channels_of(image.format);
}

// out[i] = sum over k of weights[k] * first_row[k * stride_bytes + i].
GALAGO_VECTOR_CLONES
void weigh_rows(const uint8_t* first_row, ptrdiff_t stride_bytes, const float* weights,
                int num_rows, size_t num_values, float* out) {
  for (size_t begin = 0; begin < num_values; begin += kTile) {
    const size_t count = std::min(kTile, num_values - begin);
    float sums[kTile] = {};
    const uint8_t* row = first_row + begin;
    int k = 0;
    for (; k + 4 <= num_rows; k += 4, row += 4 * stride_bytes) {
      const uint8_t* row1 = row + stride_bytes;
      const uint8_t* row2 = row1 + stride_bytes;
      const uint8_t* row3 = row2 + stride_bytes;
      const float w0 = weights[k], w1 = weights[k + 1], w2 = weights[k + 2], w3 = weights[k + 3];
      for (size_t i = 0; i < count; ++i) {
        sums[i] += (w0 * static_cast<float>(row[i]) + w1 * static_cast<float>(row1[i])) +
                   (w2 * static_cast<float>(row2[i]) + w3 * static_cast<float>(row3[i]));
      }
    }
    for (; k < num_rows; ++k, row += stride_bytes) {
      const float w = weights[k];
      for (size_t i = 0; i < count; ++i) sums[i] += w * static_cast<float>(row[i]);
    }
    std::memcpy(out + begin, sums, count * sizeof(float));
  }
}

// Weighted sums of columns: out[c][x] of a row of kNumChannels interleaved values, the first of
// which belongs to first_column. Up to three values behind the last are read, and weigh nothing.
template <int kNumChannels>
GALAGO_INLINE void weigh_columns_of(const float* row, int first_column, const FilterTaps* taps,
                                    size_t num_outputs, const float* weights, float* const* out) {
  for (size_t x = 0; x < num_outputs; ++x) {
    const float* values = row + (taps[x].first - first_column) * kNumChannels;
    const float* w = weights + taps[x].begin;
    Float4 sum = {};
    if (kNumChannels == 1) {  // four taps side by side
      for (int k = 0; k < taps[x].count; k += 4) sum += load4(w + k) * load4(values + k);
      out[0][x] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    } else {  // the channels side by side; what is left over belongs to the next pixel
      for (int k = 0; k < taps[x].count; ++k) sum += w[k] * load4(values + k * kNumChannels);
      for (int c = 0; c < kNumChannels; ++c) out[c][x] = sum[c];
    }
  }
}

GALAGO_VECTOR_CLONES
void weigh_columns(const float* row, int first_column, int num_channels, const FilterTaps* taps,
                   size_t num_outputs, const float* weights, float* const* out) {
  switch (num_channels) {
    case 1:
      return weigh_columns_of<1>(row, first_column, taps, num_outputs, weights, out);
    case 2:
      return weigh_columns_of<2>(row, first_column, taps, num_outputs, weights, out);
    default:
      return weigh_columns_of<3>(row, first_column, taps, num_outputs, weights, out);
  }
}

GALAGO_VECTOR_CLONES
void normalise(const float* values, size_t num_values, float factor, float offset, float* out) {
  for (size_t i = 0; i < num_values; ++i) out[i] = values[i] * factor + offset;
}

// ITU-R BT.601, limited range: black is 16 and white 235, chroma spans 16 to 240 around 128.
GALAGO_VECTOR_CLONES
void yuv_to_rgb(float* y_to_r, float* u_to_g, float* v_to_b, size_t num_values) {
  for (size_t i = 0; i < num_values; ++i) {
    const float y = (y_to_r[i] - 16.0f) * 1.16438356f;
    const float u = u_to_g[i] - 128.0f;
    const float v = v_to_b[i] - 128.0f;
    const float r = y + 1.59602679f * v;
    const float g = y - 0.39176229f * u - 0.81296765f * v;
    const float b = y + 2.01723214f * u;
    y_to_r[i] = std::min(std::max(r, 0.0f), 255.0f);
    u_to_g[i] = std::min(std::max(g, 0.0f), 255.0f);
    v_to_b[i] = std::min(std::max(b, 0.0f), 255.0f);
  }
}

}  // namespace

ImageScaler::ImageScaler(const ImageSpec& spec) : spec_(spec) {
  for (size_t c = 0; c < 3; ++c) {
    factors_[c] = 1.0f / (255.0f * spec.std[c]);
    offsets_[c] = -spec.mean[c] / spec.std[c];
    channels_[c].resize(static_cast<size_t>(spec.width));
  }
  for (Plane* plane : {&main_, &chroma_}) {
    allocate(&plane->columns, spec.width);
    allocate(&plane->rows, spec.height);
  }
  row_.resize(size_t{3} * kMaxSide + 4);  // a few values behind the last are read
}

size_t ImageScaler::num_bytes() const {
  size_t num_floats = row_.size() + 3 * channels_[0].size();
  size_t num_taps = 0;
  for (const Plane* plane : {&main_, &chroma_}) {
    for (const Axis* axis : {&plane->columns, &plane->rows}) {
      num_floats += axis->weights.size();
      num_taps += axis->taps.size();
    }
  }
  return num_floats * sizeof(float) + num_taps * sizeof(FilterTaps);
}

galago_status ImageScaler::check(const galago_image& image) noexcept {
  const auto refuse = [](const char* format, int64_t number) {
    set_last_error_real_time(format, static_cast<uint64_t>(number));
    return GALAGO_E_INVALID_ARGUMENT;
  };
  const int num_channels = num_channels_of(image.format);
  if (num_channels == 0) return refuse("push_image: format %llu is not known", image.format);
  if (image.width < 1 || image.height < 1) {
    return refuse("push_image: width or height is less than 1", 0);
  }
  if (image.width > kMaxSide || image.height > kMaxSide) {
    return refuse("push_image: width or height is above %llu", kMaxSide);
  }
  const int num_planes = image.format == GALAGO_NV12 ? 2 : 1;
  if (num_planes == 2 && (image.width % 2 != 0 || image.height % 2 != 0)) {
    return refuse("push_image: width and height of NV12 must be even", 0);
  }
  for (int plane = 0; plane < num_planes; ++plane) {
    if (image.planes[plane] == nullptr) return refuse("push_image: planes[%llu] is NULL", plane);
    const int64_t row_bytes = int64_t{image.width} * num_channels;  // UV: half of the pairs
    if (stride_bytes(image, plane) < row_bytes) {
      return refuse("push_image: row_stride_bytes is less than the %llu bytes of a row", row_bytes);
    }
  }
  if (image.capture_ns < 0 || image.capture_ns > kMaxCaptureNs) {
    return refuse("push_image: capture_ns is negative or beyond 2^62", 0);
  }
  return GALAGO_OK;
}

void ImageScaler::allocate(Axis* axis, int num_outputs) {
  axis->taps.resize(static_cast<size_t>(num_outputs));
  // A triangle covers two steps, of at least a pixel, one pixel more by rounding, and the zeros.
  axis->weights.resize(2 * static_cast<size_t>(kMaxSide) + 8 * axis->taps.size());
}

// As Pillow's precompute_coeffs: pixel k lies around k + 0.5.
void ImageScaler::compute(Axis* axis, int num_inputs, double begin, double length) {
  const double step = length / static_cast<double>(axis->taps.size());
  const double support = std::max(step, 1.0);
  size_t num_weights = 0;
  for (size_t i = 0; i < axis->taps.size(); ++i) {
    const double centre = begin + (static_cast<double>(i) + 0.5) * step;
    FilterTaps& taps = axis->taps[i];
    taps.first = std::max(static_cast<int>(centre - support + 0.5), 0);
    taps.count = std::min(static_cast<int>(centre + support + 0.5), num_inputs) - taps.first;
    taps.begin = num_weights;
    double sum = 0;
    for (int k = 0; k < taps.count; ++k) {
      const double distance = std::abs(taps.first + k - centre + 0.5) / support;
      const double weight = std::max(1.0 - distance, 0.0);
      axis->weights[num_weights++] = static_cast<float>(weight);
      sum += weight;
    }
    for (size_t k = taps.begin; k < num_weights; ++k) {
      axis->weights[k] = static_cast<float>(axis->weights[k] / sum);
    }
    while (num_weights % 4 != 0) axis->weights[num_weights++] = 0.0f;
  }
}

void ImageScaler::set_geometry(uint32_t format, int width, int height) noexcept {
  format_ = format;
  width_ = width;
  height_ = height;
  const double image_width = width, image_height = height;
  crop_width_ = std::min(image_width, image_height * spec_.width / spec_.height);
  crop_height_ = std::min(image_height, image_width * spec_.height / spec_.width);
  crop_left_ = (image_width - crop_width_) / 2;
  crop_top_ = (image_height - crop_height_) / 2;
  compute_plane(&main_, width, height, 1.0);
  if (format == GALAGO_NV12) compute_plane(&chroma_, width / 2, height / 2, 2.0);
}

void ImageScaler::compute_plane(Plane* plane, int width, int height, double pixel_size) {
  compute(&plane->columns, width, crop_left_ / pixel_size, crop_width_ / pixel_size);
  compute(&plane->rows, height, crop_top_ / pixel_size, crop_height_ / pixel_size);
  const FilterTaps& last = plane->columns.taps.back();
  plane->first_column = plane->columns.taps.front().first;
  plane->num_columns = last.first + last.count - plane->first_column;
}

void ImageScaler::scale_row(const Plane& plane, const uint8_t* pixels, ptrdiff_t stride_bytes,
                            int num_channels, int y, int first_channel) noexcept {
  const FilterTaps& rows = plane.rows.taps[static_cast<size_t>(y)];
  weigh_rows(pixels + rows.first * stride_bytes + plane.first_column * num_channels, stride_bytes,
             plane.rows.weights.data() + rows.begin, rows.count,
             static_cast<size_t>(plane.num_columns * num_channels), row_.data());
  float* out[3] = {};
  for (int c = 0; c < num_channels; ++c) {
    out[c] = channels_[static_cast<size_t>(first_channel + c)].data();
  }
  weigh_columns(row_.data(), plane.first_column, num_channels, plane.columns.taps.data(),
                plane.columns.taps.size(), plane.columns.weights.data(), out);
}

void ImageScaler::scale(const galago_image& image, float* out) noexcept {
  if (image.format != format_ || image.width != width_ || image.height != height_) {
    set_geometry(image.format, image.width, image.height);
  }
  const size_t width = static_cast<size_t>(spec_.width);
  const size_t plane_size = width * static_cast<size_t>(spec_.height);
  const ptrdiff_t main_stride = static_cast<ptrdiff_t>(stride_bytes(image, 0));
  for (int y = 0; y < spec_.height; ++y, out += width) {
    scale_row(main_, image.planes[0], main_stride, num_channels_of(image.format), y, 0);
    if (image.format == GALAGO_NV12) {
      scale_row(chroma_, image.planes[1], static_cast<ptrdiff_t>(stride_bytes(image, 1)), 2, y, 1);
      yuv_to_rgb(channels_[0].data(), channels_[1].data(), channels_[2].data(), width);
    }
    for (size_t c = 0; c < 3; ++c) {
      const size_t source = image.format == GALAGO_GRAY8  ? 0
                            : image.format == GALAGO_BGR8 ? 2 - c
                                                          : c;
      normalise(channels_[source].data(), width, factors_[c], offsets_[c], out + c * plane_size);
    }
  }
}

}  // namespace galago
