// What a bundle says of its eye.
#ifndef GALAGO_NATIVE_EYE_EYE_H_
#define GALAGO_NATIVE_EYE_EYE_H_

#include <string>
#include <vector>

#include "engine/target.h"
#include "eye/image_scaler.h"
#include "eye/label_smoother.h"

namespace galago {

struct EyeTarget : Target {
  enum Input { kImage, kNumInputs };     // [3][height][width]
  enum Output { kLogits, kNumOutputs };  // [num labels]
};

// The role "eye": a network that tells what is in an image.
struct Eye {
  ImageSpec image;
  std::vector<std::string> labels;
  LabelOptions scores;
  std::vector<EyeTarget> targets;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EYE_EYE_H_
