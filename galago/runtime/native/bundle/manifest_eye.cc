// The role "eye" of manifest.json; docs/bundles.md has its contract.
#include <array>
#include <set>

#include "bundle/manifest_entry.h"
#include "bundle/manifest_roles.h"

namespace galago {
namespace {

using Entry = ManifestEntry;

constexpr int64_t kMaxModelSide = 2048;  // pixels
constexpr size_t kMaxLabels = 65536;
constexpr size_t kMaxLabelBytes = 255;

std::array<float, 3> read_rgb(const Entry& entry, double low, double high) {
  const std::vector<Entry> items = entry.items();
  if (items.size() != 3) entry.complain("expected three numbers: red, green, blue");
  std::array<float, 3> values;
  for (size_t c = 0; c < 3; ++c) values[c] = static_cast<float>(items[c].number(low, high));
  return values;
}

ImageSpec read_image(const Entry& entry) {
  ImageSpec image;
  image.width = static_cast<int>(entry.at("width").integer(1, kMaxModelSide));
  image.height = static_cast<int>(entry.at("height").integer(1, kMaxModelSide));
  image.mean = read_rgb(entry.at("mean"), -10, 10);
  image.std = read_rgb(entry.at("std"), 1e-3, 10);
  entry.expect_known("fit", "cover");
  return image;
}

}  // namespace

Eye read_eye(const Entry& entry, const std::vector<FileEntry>& files) {
  entry.expect_known("type", "image_labels");
  Eye eye;
  eye.image = read_image(entry.at("image"));
  std::set<std::string> seen;
  for (const Entry& item : entry.at("labels").items()) {
    const std::string& name = item.at("name").string();
    if (name.empty() || name.size() > kMaxLabelBytes) {
      item.at("name").complain("expected 1 to " + std::to_string(kMaxLabelBytes) + " bytes");
    }
    if (!seen.insert(name).second) item.at("name").complain("stands there twice");
    eye.labels.push_back(name);
  }
  if (eye.labels.size() < 2 || eye.labels.size() > kMaxLabels) {
    entry.at("labels").complain("expected 2 to " + std::to_string(kMaxLabels) + " labels");
  }
  read_float(entry, "temperature", 0.01, 100, &eye.scores.temperature);
  read_float(entry, "accept_probability", 0, 1, &eye.scores.accept_probability);
  read_int(entry, "smoothing_half_life_ms", 0, 60000, &eye.scores.smoothing_half_life_ms);
  const auto num_labels = static_cast<int64_t>(eye.labels.size());
  for (const Entry& item : entry.at("targets").items()) {
    EyeTarget target;
    read_target(item, files, &target);
    target.inputs = {
        read_tensor(item, "inputs", "image", {1, 3, eye.image.height, eye.image.width})};
    target.outputs = {read_tensor(item, "outputs", "logits", {1, num_labels})};
    eye.targets.push_back(std::move(target));
  }
  if (eye.targets.empty()) entry.at("targets").complain("is empty");
  return eye;
}

}  // namespace galago
