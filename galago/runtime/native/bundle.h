// An opened bundle: a checked manifest and the compiled network of the target that runs here.
#ifndef GALAGO_NATIVE_BUNDLE_H_
#define GALAGO_NATIVE_BUNDLE_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine.h"
#include "manifest.h"

namespace galago {

struct BundleOptions {
  int chunk_ms = 0;     // 0: any
  std::string backend;  // empty: any
  EngineOptions engine;
};

class Bundle {
 public:
  // Throws Error.
  static std::unique_ptr<Bundle> open(const std::string& folder, const BundleOptions& options);

  // Throws GALAGO_E_NOT_FOUND. Valid as long as the bundle. From any thread.
  const char* metadata(const std::string& key) const;

  const Ear& ear() const { return *manifest_.ear; }
  const Target& target() const { return *target_; }
  const std::shared_ptr<Engine>& engine() const { return engine_; }

 private:
  Bundle() = default;

  Manifest manifest_;
  const Target* target_ = nullptr;  // in manifest_
  std::shared_ptr<Engine> engine_;

  mutable std::mutex metadata_mutex_;
  mutable std::map<std::string, std::string> metadata_;  // what was asked for before
};

}  // namespace galago

#endif  // GALAGO_NATIVE_BUNDLE_H_
