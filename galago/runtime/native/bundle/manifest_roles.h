// Reading the roles of manifest.json, each in a file of its own.
#ifndef GALAGO_NATIVE_BUNDLE_MANIFEST_ROLES_H_
#define GALAGO_NATIVE_BUNDLE_MANIFEST_ROLES_H_

#include <vector>

#include "base/file.h"
#include "bundle/manifest_entry.h"
#include "ear/ear.h"
#include "eye/eye.h"
#include "voice/voice.h"

namespace galago {

// `entry` is the role, `files` are all of the bundle's. They throw Error: GALAGO_E_CORRUPT says
// which entry is wrong and how, GALAGO_E_UNSUPPORTED that the role is of a type unknown here.
Ear read_ear(const ManifestEntry& entry, const std::vector<FileEntry>& files);
Eye read_eye(const ManifestEntry& entry, const std::vector<FileEntry>& files);
Voice read_voice(const ManifestEntry& entry, const std::vector<FileEntry>& files);

}  // namespace galago

#endif  // GALAGO_NATIVE_BUNDLE_MANIFEST_ROLES_H_
