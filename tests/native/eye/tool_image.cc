// An image through the scaler, for parity tests and timing from Python.
//
//   tool_image --format 1 --width 640 --height 480 --model-width 128 --model-height 128 < image
//       > values.f32                  [3][model_height][model_width], (value / 255 - mean) / std
//     --stride 2000                   of all planes; 0: rows follow each other
//     --mean 0.5 --std 0.25           of all channels
//     --bench 200                     prints the nanoseconds of each of 200 runs instead
//
// NV12 is read as it is usually kept: the rows of Y, then those of UV.
#include <cstdio>
#include <vector>

#include "base/status.h"
#include "eye/image_scaler.h"
#include "tool_io.h"

int main(int argc, char** argv) {
  tool::Options given(argc, argv);
  galago_image image = GALAGO_IMAGE_INIT;
  image.format = static_cast<uint32_t>(given.integer("format", GALAGO_RGB8));
  image.width = given.integer("width", 0);
  image.height = given.integer("height", 0);
  image.row_stride_bytes[0] = image.row_stride_bytes[1] = given.integer("stride", 0);
  galago::ImageSpec spec;
  spec.width = given.integer("model-width", 128);
  spec.height = given.integer("model-height", 128);
  spec.mean.fill(given.number("mean", 0.0f));
  spec.std.fill(given.number("std", 1.0f));
  const int bench_repeats = given.integer("bench", 0);
  given.refuse_unknown();

  std::vector<uint8_t> bytes;
  uint8_t block[4096];
  size_t num_read;
  while ((num_read = std::fread(block, 1, sizeof(block), stdin)) > 0) {
    bytes.insert(bytes.end(), block, block + num_read);
  }
  const size_t stride =
      static_cast<size_t>(image.row_stride_bytes[0] != 0 ? image.row_stride_bytes[0] : image.width);
  image.planes[0] = bytes.data();
  if (image.format == GALAGO_NV12) {
    image.planes[1] = bytes.data() + stride * static_cast<size_t>(image.height);
  }
  if (galago::ImageScaler::check(image) != GALAGO_OK) {
    std::fprintf(stderr, "%s\n", galago::last_error());
    return 1;
  }
  galago::ImageScaler scaler(spec);
  std::vector<float> values(size_t{3} * static_cast<size_t>(spec.width) *
                            static_cast<size_t>(spec.height));
  scaler.scale(image, values.data());
  if (bench_repeats > 0) {
    for (int i = 0; i < bench_repeats; ++i) {
      std::printf("%.0f\n", tool::best_ns(1, [&] { scaler.scale(image, values.data()); }));
    }
  } else {
    std::fwrite(values.data(), sizeof(float), values.size(), stdout);
  }
  return 0;
}
