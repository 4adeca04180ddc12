// manifest.json of a bundle, as structures: read once, checked fully, then trusted.
#ifndef GALAGO_NATIVE_BUNDLE_MANIFEST_H_
#define GALAGO_NATIVE_BUNDLE_MANIFEST_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "ear/ear.h"
#include "eye/eye.h"
#include "voice/voice.h"

namespace galago {

struct Manifest {
  static constexpr int kSchemaVersion = 1;

  // Throws Error: GALAGO_E_CORRUPT says which entry is wrong and how,
  // GALAGO_E_UNSUPPORTED that the schema is a newer one.
  static Manifest parse(std::string_view text);

  std::string name;
  std::string version;
  std::vector<FileEntry> files;
  std::optional<Ear> ear;
  std::optional<Eye> eye;
  std::optional<Voice> voice;
  Json root;  // everything, for galago_bundle_metadata
};

}  // namespace galago

#endif  // GALAGO_NATIVE_BUNDLE_MANIFEST_H_
