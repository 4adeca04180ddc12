// The one small interface behind which every inference engine stands.
#ifndef GALAGO_NATIVE_ENGINE_ENGINE_H_
#define GALAGO_NATIVE_ENGINE_ENGINE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "engine/target.h"

namespace galago {

// One stream through the network. Its states live in the engine; its inputs and outputs are
// buffers of its own, bound once, so that a step copies nothing and allocates nothing here.
class EngineStream {
 public:
  virtual ~EngineStream() = default;

  // Numbered as in the target.
  float* input(size_t index) { return inputs_[index]; }
  const float* output(size_t index) const { return outputs_[index]; }

  // One step. Returns nullptr, or what went wrong: valid until the next call. Never throws.
  virtual const char* run() noexcept = 0;

  virtual size_t num_bytes() const = 0;  // of the buffers

 protected:
  std::vector<float*> inputs_;
  std::vector<float*> outputs_;
};

// A compiled network, shared by the streams over it, from any thread.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::unique_ptr<EngineStream> open_stream() = 0;  // throws Error
  virtual const std::string& description() const = 0;       // "OpenVINO 2026.4.1-..."
  virtual const std::string& precision() const = 0;         // "f32" or "bf16": what runs here
};

struct EngineOptions {
  int num_threads = 1;
  std::string cache_dir;    // empty: nowhere
  std::string engine_path;  // library or its directory; empty: not given
};

// `model` and `weights` are the checked bytes of the target's files. Throws Error:
// GALAGO_E_NOT_FOUND if the engine's library is not there, GALAGO_E_UNSUPPORTED if it is of a
// version this build does not know, GALAGO_E_CORRUPT if the graph is not what the manifest says,
// GALAGO_E_BACKEND if the engine cannot compile it.
std::shared_ptr<Engine> open_openvino(const Target& target, const EngineOptions& options,
                                      FileBytes model, FileBytes weights);

}  // namespace galago

#endif  // GALAGO_NATIVE_ENGINE_ENGINE_H_
