#include "bundle/manifest_entry.h"

#include <cmath>
#include <set>

#include "base/status.h"

namespace galago {

void ManifestEntry::complain(const std::string& what) const {
  fail(GALAGO_E_CORRUPT, "manifest.json: %s: %s", where_.empty() ? "top level" : where_.c_str(),
       what.c_str());
}

std::optional<ManifestEntry> ManifestEntry::find(const char* key) const {
  expect(Json::Type::kObject);
  const Json* member = json_.find(key);
  if (member == nullptr) return std::nullopt;
  return ManifestEntry(*member, where_.empty() ? key : where_ + "." + key);
}

ManifestEntry ManifestEntry::at(const char* key) const {
  std::optional<ManifestEntry> member = find(key);
  if (!member) complain(std::string("lacks \"") + key + "\"");
  return *member;
}

std::vector<ManifestEntry> ManifestEntry::items() const {
  expect(Json::Type::kArray);
  std::vector<ManifestEntry> items;
  for (size_t i = 0; i < json_.array.size(); ++i) {
    items.emplace_back(json_.array[i], where_ + "[" + std::to_string(i) + "]");
  }
  return items;
}

const std::string& ManifestEntry::string() const {
  expect(Json::Type::kString);
  return json_.string;
}

bool ManifestEntry::boolean() const {
  expect(Json::Type::kBool);
  return json_.boolean;
}

double ManifestEntry::number(double low, double high) const {
  expect(Json::Type::kNumber);
  if (!(json_.number >= low && json_.number <= high)) {
    complain(json_.to_text() + " is outside [" + std::to_string(low) + ", " + std::to_string(high) +
             "]");
  }
  return json_.number;
}

int64_t ManifestEntry::integer(int64_t low, int64_t high) const {
  expect(Json::Type::kNumber);
  const double value = json_.number;
  if (value != std::floor(value)) complain(json_.to_text() + " is not a whole number");
  if (!(value >= static_cast<double>(low) && value <= static_cast<double>(high))) {
    complain(json_.to_text() + " is outside [" + std::to_string(low) + ", " + std::to_string(high) +
             "]");
  }
  return static_cast<int64_t>(value);
}

void ManifestEntry::expect(Json::Type type) const {
  if (json_.type != type) {
    complain(std::string("expected ") + type_name(type) + ", found " + type_name(json_.type));
  }
}

void ManifestEntry::expect_known(const char* key, const char* known) const {
  const std::string& found = at(key).string();
  if (found == known) return;
  fail(GALAGO_E_UNSUPPORTED, "manifest.json: %s.%s: \"%s\" is not known to this build",
       where_.c_str(), key, found.c_str());
}

void read_int(const ManifestEntry& parent, const char* key, int64_t low, int64_t high, int* out) {
  if (const auto entry = parent.find(key)) *out = static_cast<int>(entry->integer(low, high));
}

void read_float(const ManifestEntry& parent, const char* key, double low, double high, float* out) {
  if (const auto entry = parent.find(key)) *out = static_cast<float>(entry->number(low, high));
}

const FileEntry& find_file(const ManifestEntry& entry, const std::vector<FileEntry>& files) {
  for (const FileEntry& file : files) {
    if (file.path == entry.string()) return file;
  }
  entry.complain("\"" + entry.string() + "\" is not among the files");
}

std::vector<std::string> read_names(const ManifestEntry& entry, size_t max_names) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const ManifestEntry& item : entry.items()) {
    if (!seen.insert(item.string()).second) item.complain("stands there twice");
    names.push_back(item.string());
  }
  if (names.size() < 2 || names.size() > max_names) {
    entry.complain("expected 2 to " + std::to_string(max_names) + " names");
  }
  return names;
}

TensorSpec read_tensor(const ManifestEntry& target, const char* group, const char* key,
                       std::vector<int64_t> shape) {
  return {std::string(group) + "." + key, target.at(group).at(key).string(), std::move(shape)};
}

void read_target(const ManifestEntry& entry, const std::vector<FileEntry>& files, Target* target) {
  target->name = entry.at("name").string();
  target->engine = entry.at("engine").string();
  target->dtype = entry.at("dtype").string();
  target->model = find_file(entry.at("model"), files);
  target->weights = find_file(entry.at("weights"), files);
  target->inference_precision = entry.at("inference_precision").string();
  if (target->inference_precision != "f32" && target->inference_precision != "bf16") {
    entry.at("inference_precision").complain("expected \"f32\" or \"bf16\"");
  }
}

}  // namespace galago
