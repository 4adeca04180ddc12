// Reading manifest.json: a value that knows where it stands, and what the roles share.
#ifndef GALAGO_NATIVE_BUNDLE_MANIFEST_ENTRY_H_
#define GALAGO_NATIVE_BUNDLE_MANIFEST_ENTRY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "engine/target.h"

namespace galago {

// A value together with the way to it, so that every complaint says where. The value outlives it.
class ManifestEntry {
 public:
  ManifestEntry(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}

  [[noreturn]] void complain(const std::string& what) const;  // throws GALAGO_E_CORRUPT
  // Throws GALAGO_E_UNSUPPORTED where this member is another text than the one known.
  void expect_known(const char* key, const char* known) const;

  std::optional<ManifestEntry> find(const char* key) const;
  ManifestEntry at(const char* key) const;
  std::vector<ManifestEntry> items() const;
  const std::string& string() const;
  bool boolean() const;
  double number(double low, double high) const;
  int64_t integer(int64_t low, int64_t high) const;

  const Json& json() const { return json_; }
  const std::string& where() const { return where_; }

 private:
  void expect(Json::Type type) const;

  const Json& json_;
  std::string where_;
};

// A member that may be missing: *out then stays as it is.
void read_int(const ManifestEntry& parent, const char* key, int64_t low, int64_t high, int* out);
void read_float(const ManifestEntry& parent, const char* key, double low, double high, float* out);

// The entry of the file that is named here.
const FileEntry& find_file(const ManifestEntry& entry, const std::vector<FileEntry>& files);

// 2 to max_names different names.
std::vector<std::string> read_names(const ManifestEntry& entry, size_t max_names);

// "inputs.features" of a target, with the shape that its role leads to.
TensorSpec read_tensor(const ManifestEntry& target, const char* group, const char* key,
                       std::vector<int64_t> shape);

// What the targets of all roles have.
void read_target(const ManifestEntry& entry, const std::vector<FileEntry>& files, Target* target);

}  // namespace galago

#endif  // GALAGO_NATIVE_BUNDLE_MANIFEST_ENTRY_H_
