// The scaler against the definition, written down plainly: every output is a weighted mean over the
// image, in double precision, of pixels that were turned into RGB first.
#include "eye/image_scaler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/status.h"
#include "check.h"

using namespace galago;

namespace {

ImageSpec spec_of(int width, int height) {
  return {width, height, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
}

// An image of random bytes, in rows that are longer than they need be.
struct Source {
  Source(uint32_t format, int width, int height, uint32_t seed = 1) {
    const int channels = format == GALAGO_RGB8 || format == GALAGO_BGR8 ? 3 : 1;
    const int stride = width * channels + 5;
    std::mt19937 random(seed);
    for (auto& plane : planes) {
      plane.resize(static_cast<size_t>(stride) * static_cast<size_t>(height));
      for (uint8_t& value : plane) value = static_cast<uint8_t>(random());
    }
    image = GALAGO_IMAGE_INIT;
    image.format = format;
    image.width = width;
    image.height = height;
    image.planes[0] = planes[0].data();
    image.row_stride_bytes[0] = stride;
    if (format == GALAGO_NV12) {
      image.planes[1] = planes[1].data();
      image.row_stride_bytes[1] = stride;
    }
  }

  double byte(int plane, int64_t offset) const {
    return planes[plane][static_cast<size_t>(offset)];
  }

  // Channel c, [0, 255], before anything is clipped.
  double rgb(int x, int y, int c) const {
    const int64_t row = int64_t{y} * image.row_stride_bytes[0];
    switch (image.format) {
      case GALAGO_RGB8:
        return byte(0, row + 3 * x + c);
      case GALAGO_BGR8:
        return byte(0, row + 3 * x + 2 - c);
      case GALAGO_GRAY8:
        return byte(0, row + x);
    }
    return 0;
  }

  std::vector<uint8_t> planes[2];
  galago_image image;
};

// Weights of a triangle over [0, num_inputs), by which output i of a step is made.
std::vector<double> triangle(int num_inputs, double begin, double step, int i) {
  const double support = std::max(step, 1.0);
  std::vector<double> weights(static_cast<size_t>(num_inputs));
  double sum = 0;
  for (int k = 0; k < num_inputs; ++k) {
    const double distance = std::abs(k + 0.5 - (begin + (i + 0.5) * step)) / support;
    weights[static_cast<size_t>(k)] = std::max(0.0, 1.0 - distance);
    sum += weights[static_cast<size_t>(k)];
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

template <typename Value>
double mean(int width, int height, const std::vector<double>& columns,
            const std::vector<double>& rows, const Value& value) {
  double sum = 0;
  for (int y = 0; y < height; ++y) {
    if (rows[static_cast<size_t>(y)] == 0) continue;
    for (int x = 0; x < width; ++x) {
      const double weight = columns[static_cast<size_t>(x)] * rows[static_cast<size_t>(y)];
      if (weight != 0) sum += weight * value(x, y);
    }
  }
  return sum;
}

// [3][height][width] in [0, 255].
std::vector<double> expected(const Source& source, const ImageSpec& spec) {
  const int width = source.image.width, height = source.image.height;
  const double crop_width = std::min<double>(width, 1.0 * height * spec.width / spec.height);
  const double crop_height = std::min<double>(height, 1.0 * width * spec.height / spec.width);
  const double left = (width - crop_width) / 2, top = (height - crop_height) / 2;
  const size_t plane = static_cast<size_t>(spec.width) * static_cast<size_t>(spec.height);
  std::vector<double> out(3 * plane);
  for (int y = 0; y < spec.height; ++y) {
    for (int x = 0; x < spec.width; ++x) {
      const size_t at =
          static_cast<size_t>(y) * static_cast<size_t>(spec.width) + static_cast<size_t>(x);
      const auto columns = triangle(width, left, crop_width / spec.width, x);
      const auto rows = triangle(height, top, crop_height / spec.height, y);
      if (source.image.format != GALAGO_NV12) {
        for (int c = 0; c < 3; ++c) {
          out[static_cast<size_t>(c) * plane + at] =
              mean(width, height, columns, rows, [&](int i, int j) { return source.rgb(i, j, c); });
        }
        continue;
      }
      const int64_t stride = source.image.row_stride_bytes[0];
      const double luma = mean(width, height, columns, rows,
                               [&](int i, int j) { return source.byte(0, j * stride + i); });
      const auto half_columns = triangle(width / 2, left / 2, crop_width / 2 / spec.width, x);
      const auto half_rows = triangle(height / 2, top / 2, crop_height / 2 / spec.height, y);
      const auto chroma = [&](int c) {
        return mean(width / 2, height / 2, half_columns, half_rows,
                    [&](int i, int j) { return source.byte(1, j * stride + 2 * i + c); });
      };
      const double u = chroma(0) - 128, v = chroma(1) - 128;
      // Kr = 0.299, Kb = 0.114; luma of 219 steps, chroma of 224.
      const double r = 255.0 / 219 * (luma - 16) + 255.0 / 224 * 2 * (1 - 0.299) * v;
      const double b = 255.0 / 219 * (luma - 16) + 255.0 / 224 * 2 * (1 - 0.114) * u;
      const double g = 255.0 / 219 * (luma - 16) -
                       255.0 / 224 * 2 * (1 - 0.299) * 0.299 / 0.587 * v -
                       255.0 / 224 * 2 * (1 - 0.114) * 0.114 / 0.587 * u;
      out[at] = std::clamp(r, 0.0, 255.0);
      out[plane + at] = std::clamp(g, 0.0, 255.0);
      out[2 * plane + at] = std::clamp(b, 0.0, 255.0);
    }
  }
  return out;
}

std::vector<float> scaled(ImageScaler* scaler, const ImageSpec& spec, const galago_image& image) {
  std::vector<float> out(3 * static_cast<size_t>(spec.width) * static_cast<size_t>(spec.height));
  CHECK_EQ(ImageScaler::check(image), GALAGO_OK);
  scaler->scale(image, out.data());
  return out;
}

double largest_difference(const std::vector<float>& found, const std::vector<double>& expected,
                          const ImageSpec& spec) {
  double largest = 0;
  const size_t plane = found.size() / 3;
  for (size_t i = 0; i < found.size(); ++i) {
    const size_t c = i / plane;
    const double value = (expected[i] / 255 - spec.mean[c]) / spec.std[c];
    largest = std::max(largest, std::abs(found[i] - value));
  }
  return largest;
}

}  // namespace

TEST(every_format_and_size_is_scaled_as_defined) {
  const struct {
    int width, height;
  } sizes[] = {{1, 1},  {2, 2},   {1, 9},  {9, 1},  {6, 4},   {12, 10},  {13, 7},
               {7, 13}, {40, 30}, {64, 2}, {2, 64}, {97, 61}, {100, 100}};
  const ImageSpec specs[] = {spec_of(12, 10), spec_of(16, 16), spec_of(1, 1), spec_of(5, 31)};
  for (const ImageSpec& spec : specs) {
    ImageScaler scaler(spec);
    for (const auto& size : sizes) {
      for (uint32_t format : {GALAGO_RGB8, GALAGO_BGR8, GALAGO_GRAY8, GALAGO_NV12}) {
        if (format == GALAGO_NV12 && (size.width % 2 != 0 || size.height % 2 != 0)) continue;
        const Source source(format, size.width, size.height);
        const auto found = scaled(&scaler, spec, source.image);
        CHECK_NEAR(largest_difference(found, expected(source, spec), spec), 0, 1e-4);
      }
    }
  }
}

TEST(what_came_before_does_not_matter) {
  const ImageSpec spec = spec_of(16, 12);
  ImageScaler used(spec);
  const Source sources[] = {Source(GALAGO_RGB8, 50, 40), Source(GALAGO_NV12, 200, 100),
                            Source(GALAGO_GRAY8, 50, 40), Source(GALAGO_RGB8, 50, 40, 7)};
  for (int round = 0; round < 2; ++round) {
    for (const Source& source : sources) {
      ImageScaler fresh(spec);
      CHECK(scaled(&used, spec, source.image) == scaled(&fresh, spec, source.image));
    }
  }
}

TEST(rows_that_follow_each_other_need_no_stride) {
  const ImageSpec spec = spec_of(8, 8);
  ImageScaler scaler(spec);
  for (uint32_t format : {GALAGO_RGB8, GALAGO_NV12}) {
    const int width = 20, height = 14, bytes = format == GALAGO_RGB8 ? 3 * width : width;
    const Source source(format, width, height);
    std::vector<uint8_t> packed[2];
    galago_image image = source.image;
    for (int plane = 0; plane < (format == GALAGO_NV12 ? 2 : 1); ++plane) {
      for (int y = 0; y < (plane == 0 ? height : height / 2); ++y) {
        const uint8_t* row = source.image.planes[plane] + y * source.image.row_stride_bytes[plane];
        packed[plane].insert(packed[plane].end(), row, row + bytes);
      }
      image.planes[plane] = packed[plane].data();
      image.row_stride_bytes[plane] = 0;
    }
    CHECK(scaled(&scaler, spec, image) == scaled(&scaler, spec, source.image));
  }
}

TEST(known_colours_of_nv12_become_themselves) {
  const ImageSpec spec{4, 4, {0, 0, 0}, {1, 1, 1}};
  ImageScaler scaler(spec);
  const struct {
    uint8_t y, u, v;
    double r, g, b;
  } colours[] = {{16, 128, 128, 0, 0, 0}, {235, 128, 128, 1, 1, 1}, {81, 90, 240, 1, 0, 0},
                 {145, 54, 34, 0, 1, 0},  {41, 240, 110, 0, 0, 1},  {0, 128, 128, 0, 0, 0},
                 {255, 128, 128, 1, 1, 1}};
  for (const auto& colour : colours) {
    Source source(GALAGO_NV12, 8, 6);
    std::fill(source.planes[0].begin(), source.planes[0].end(), colour.y);
    for (size_t i = 0; i < source.planes[1].size(); ++i) {
      // Rows of 13 bytes: even offsets within a row are U.
      source.planes[1][i] = i % 13 % 2 == 0 ? colour.u : colour.v;
    }
    const auto found = scaled(&scaler, spec, source.image);
    CHECK_NEAR(found[0], colour.r, 0.01);
    CHECK_NEAR(found[16], colour.g, 0.01);
    CHECK_NEAR(found[32], colour.b, 0.01);
  }
}

TEST(the_longest_sides_fit_the_memory_that_was_allocated) {
  for (int side : {1, 128, 2048}) {
    const ImageSpec spec{side, side == 2048 ? 4 : side, {0, 0, 0}, {1, 1, 1}};
    ImageScaler scaler(spec);
    for (int short_side : {2, 64}) {
      for (bool tall : {false, true}) {
        for (uint32_t format : {GALAGO_RGB8, GALAGO_NV12}) {
          Source source(format, tall ? short_side : ImageScaler::kMaxSide,
                        tall ? ImageScaler::kMaxSide : short_side);
          for (auto& plane : source.planes) std::fill(plane.begin(), plane.end(), uint8_t{128});
          for (float value : scaled(&scaler, spec, source.image)) {
            CHECK_NEAR(value, format == GALAGO_RGB8 ? 128 / 255.0 : 112 / 219.0, 1e-4);
          }
        }
      }
    }
  }
}

TEST(every_wrong_image_is_refused_with_its_reason) {
  const auto refused = [](galago_image image, const char* reason) {
    CHECK_EQ(ImageScaler::check(image), GALAGO_E_INVALID_ARGUMENT);
    if (std::strstr(last_error(), reason) == nullptr) {
      check::failure(__FILE__, __LINE__) << reason << ": said " << last_error() << "\n";
    }
  };
  const auto changed = [](uint32_t format, auto change) {
    static const uint8_t pixels[64] = {};
    galago_image image = GALAGO_IMAGE_INIT;
    image.format = format;
    image.width = 4;
    image.height = 4;
    image.planes[0] = pixels;
    image.planes[1] = format == GALAGO_NV12 ? pixels : nullptr;
    CHECK_EQ(ImageScaler::check(image), GALAGO_OK);
    change(&image);
    return image;
  };
  constexpr int kMin = std::numeric_limits<int>::min(), kMax = std::numeric_limits<int>::max();
  for (uint32_t format : {0u, 5u, 0xFFFFFFFFu}) {
    refused(changed(GALAGO_RGB8, [&](galago_image* i) { i->format = format; }), "format");
  }
  for (int size : {0, -1, kMin}) {
    refused(changed(GALAGO_RGB8, [&](galago_image* i) { i->width = size; }), "less than 1");
    refused(changed(GALAGO_RGB8, [&](galago_image* i) { i->height = size; }), "less than 1");
  }
  for (int size : {8193, kMax}) {
    refused(changed(GALAGO_GRAY8, [&](galago_image* i) { i->width = size; }), "above 8192");
    refused(changed(GALAGO_GRAY8, [&](galago_image* i) { i->height = size; }), "above 8192");
  }
  for (int stride : {11, 1, -12, kMin}) {
    refused(changed(GALAGO_RGB8, [&](galago_image* i) { i->row_stride_bytes[0] = stride; }),
            "less than the 12 bytes of a row");
  }
  refused(changed(GALAGO_NV12, [](galago_image* i) { i->row_stride_bytes[1] = 3; }), "4 bytes");
  refused(changed(GALAGO_BGR8, [](galago_image* i) { i->planes[0] = nullptr; }), "planes[0]");
  refused(changed(GALAGO_NV12, [](galago_image* i) { i->planes[1] = nullptr; }), "planes[1]");
  refused(changed(GALAGO_NV12, [](galago_image* i) { i->width = 3; }), "even");
  refused(changed(GALAGO_NV12, [](galago_image* i) { i->height = 1; }), "even");
  refused(changed(GALAGO_RGB8, [](galago_image* i) { i->capture_ns = -1; }), "capture_ns");
  refused(changed(GALAGO_RGB8,
                  [](galago_image* i) { i->capture_ns = std::numeric_limits<int64_t>::max(); }),
          "capture_ns");
}
