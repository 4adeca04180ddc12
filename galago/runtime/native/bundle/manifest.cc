#include "bundle/manifest.h"

#include <algorithm>

#include "base/status.h"
#include "bundle/manifest_entry.h"
#include "bundle/manifest_roles.h"

namespace galago {
namespace {

using Entry = ManifestEntry;

// Whole numbers up to this are exact in JSON's double.
constexpr int64_t kMaxExact = int64_t{1} << 53;

bool is_safe_path(const std::string& path) {
  if (path.empty() || path.front() == '/' || path.find('\\') != std::string::npos) return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    if (name.empty() || name == "." || name == "..") return false;
    begin = end + 1;
  }
  return true;
}

std::vector<FileEntry> read_files(const Entry& files) {
  std::vector<FileEntry> entries;
  if (files.json().type != Json::Type::kObject) files.complain("expected an object");
  for (const auto& [path, json] : files.json().object) {
    const Entry entry(json, "files[\"" + path + "\"]");
    if (!is_safe_path(path)) entry.complain("not a plain relative path");
    FileEntry file;
    file.path = path;
    file.sha256 = entry.at("sha256").string();
    if (file.sha256.size() != 64 ||
        file.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
      entry.complain("sha256 is not 64 lower-case hexadecimal digits");
    }
    file.size_bytes = static_cast<uint64_t>(entry.at("size_bytes").integer(0, kMaxExact));
    entries.push_back(std::move(file));
  }
  return entries;
}

}  // namespace

Manifest Manifest::parse(std::string_view text) {
  Manifest manifest;
  manifest.root = Json::parse(text, "manifest.json");
  const Entry root(manifest.root, "");
  const int64_t schema = root.at("schema_version").integer(-kMaxExact, kMaxExact);
  if (schema != kSchemaVersion) {
    fail(GALAGO_E_UNSUPPORTED, "manifest.json: schema_version is %lld, this build reads %d",
         static_cast<long long>(schema), kSchemaVersion);
  }
  manifest.name = root.at("name").string();
  manifest.version = root.at("version").string();
  manifest.files = read_files(root.at("files"));
  if (const auto ear = root.at("roles").find("ear")) {
    manifest.ear = read_ear(*ear, manifest.files);
  }
  if (const auto eye = root.at("roles").find("eye")) {
    manifest.eye = read_eye(*eye, manifest.files);
  }
  if (const auto voice = root.at("roles").find("voice")) {
    manifest.voice = read_voice(*voice, manifest.files);
  }
  return manifest;
}

}  // namespace galago
