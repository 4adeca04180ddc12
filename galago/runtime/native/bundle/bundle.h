// An opened bundle: a checked manifest, and for each role that this build can run the compiled
// network of the first target that runs here.
#ifndef GALAGO_NATIVE_BUNDLE_BUNDLE_H_
#define GALAGO_NATIVE_BUNDLE_BUNDLE_H_

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "bundle/manifest.h"
#include "ear/ear_stream.h"
#include "engine/engine.h"
#include "eye/eye_stream.h"
#include "voice/voice_stream.h"

namespace galago {

struct BundleOptions {
  int chunk_ms = 0;     // of the ear; 0: any
  std::string backend;  // empty: any
  std::string roles;    // "ear,voice"; empty: all that the bundle has
  EngineOptions engine;
};

class Bundle {
 public:
  // Throws Error.
  static std::unique_ptr<Bundle> open(const std::string& folder, const BundleOptions& options);

  // Throws GALAGO_E_NOT_FOUND. Valid as long as the bundle. From any thread.
  const char* metadata(const std::string& key) const;

  // NULL: it has no such role, or was opened without it.
  const OpenedEar* ear() const { return ear_ ? &*ear_ : nullptr; }
  const OpenedEye* eye() const { return eye_ ? &*eye_ : nullptr; }
  const OpenedVoice* voice() const { return voice_ ? &*voice_ : nullptr; }

 private:
  Bundle() = default;

  // "target", "engine" or "inference_precision" of a role; empty if there is none.
  std::string opened(const std::string& role, const std::string& what) const;

  Manifest manifest_;
  std::optional<OpenedEar> ear_;
  std::optional<OpenedEye> eye_;
  std::optional<OpenedVoice> voice_;

  mutable std::mutex metadata_mutex_;
  mutable std::map<std::string, std::string> metadata_;  // what was asked for before
};

}  // namespace galago

#endif  // GALAGO_NATIVE_BUNDLE_BUNDLE_H_
