// The one small interface behind which every inference engine stands.
#ifndef GALAGO_NATIVE_ENGINE_H_
#define GALAGO_NATIVE_ENGINE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "manifest.h"

namespace galago {

// One stream through the network. Its states live in the engine; its inputs and outputs are
// buffers of its own, bound once, so that a step copies nothing and allocates nothing here.
class EngineStream {
 public:
  virtual ~EngineStream() = default;

  float* features() { return features_; }  // [chunk_frames][num_mels]
  // 1: go on. 0: forget all states first (the stream begins, or begins anew).
  void set_keep(float keep) { *keep_ = keep; }
  const float* phone_log_probs() const { return phone_log_probs_; }  // [chunk_tokens][num_phones]
  const float* token_log_probs() const { return token_log_probs_; }  // [chunk_tokens][num_tokens]

  // One chunk. Returns nullptr, or what went wrong: valid until the next call. Never throws.
  virtual const char* run() noexcept = 0;

  virtual size_t num_bytes() const = 0;  // of the buffers

 protected:
  float* features_ = nullptr;
  float* keep_ = nullptr;
  float* phone_log_probs_ = nullptr;
  float* token_log_probs_ = nullptr;
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

// Sizes of what goes in and out, which the graph must have.
struct EngineShape {
  int num_mels = 0;
  int num_phones = 0;
  int num_tokens = 0;
};

// `model` and `weights` are the checked bytes of the target's files. Throws Error:
// GALAGO_E_NOT_FOUND if the engine's library is not there, GALAGO_E_UNSUPPORTED if it is of a
// version this build does not know, GALAGO_E_CORRUPT if the graph is not what the manifest says,
// GALAGO_E_BACKEND if the engine cannot compile it.
std::shared_ptr<Engine> open_openvino(const Target& target, const EngineShape& shape,
                                      const EngineOptions& options, FileBytes model,
                                      FileBytes weights);

}  // namespace galago

#endif  // GALAGO_NATIVE_ENGINE_H_
