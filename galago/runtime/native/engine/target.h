// What an engine is told about a graph: its files, its precision, its inputs and outputs.
#ifndef GALAGO_NATIVE_ENGINE_TARGET_H_
#define GALAGO_NATIVE_ENGINE_TARGET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"

namespace galago {

// An input or output of a graph: float32, of a fixed shape.
struct TensorSpec {
  std::string key;   // how manifest.json calls it: "inputs.features"
  std::string name;  // how the graph does
  std::vector<int64_t> shape;
};

// One compiled form of a role's network. The order of inputs and outputs is the role's.
struct Target {
  std::string name;    // "openvino-int8-chunk8"
  std::string engine;  // "openvino"
  std::string dtype;   // of the weights: "int8"
  FileEntry model;
  FileEntry weights;
  std::string inference_precision;  // "f32" or "bf16"
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_ENGINE_TARGET_H_
