#include "bundle.h"

#include <cstdlib>
#include <exception>

#include "log.h"
#include "status.h"

namespace galago {
namespace {

constexpr uint64_t kMaxManifestBytes = 16 << 20;

std::shared_ptr<Engine> open_engine(const std::string& folder, const Ear& ear, const Target& target,
                                    const EngineOptions& options) {
  const EngineShape shape{ear.features.num_mels, static_cast<int>(ear.phones.size()),
                          static_cast<int>(ear.tokens.size())};
  if (target.engine == "openvino") {
    return open_openvino(target, shape, options, read_checked(folder, target.model),
                         read_checked(folder, target.weights));
  }
  fail(GALAGO_E_UNSUPPORTED, "target %s: this build has no engine \"%s\"", target.name.c_str(),
       target.engine.c_str());
}

// "labels.3": the member "labels", then the item 3.
const Json* find_entry(const Json& root, const std::string& key) {
  const Json* json = &root;
  for (size_t begin = 0; begin <= key.size() && json != nullptr;) {
    const size_t end = std::min(key.find('.', begin), key.size());
    const std::string name = key.substr(begin, end - begin);
    if (json->type == Json::Type::kArray) {
      const bool is_index = !name.empty() && name.size() < 10 &&
                            name.find_first_not_of("0123456789") == std::string::npos;
      const size_t index = is_index ? std::strtoul(name.c_str(), nullptr, 10) : json->array.size();
      json = index < json->array.size() ? &json->array[index] : nullptr;
    } else {
      json = json->find(name);
    }
    begin = end + 1;
  }
  return json;
}

}  // namespace

std::unique_ptr<Bundle> Bundle::open(const std::string& folder, const BundleOptions& options) {
  std::unique_ptr<Bundle> bundle(new Bundle);
  const FileBytes text =
      read_file(folder + "/manifest.json", folder + "/manifest.json", kMaxManifestBytes);
  bundle->manifest_ = Manifest::parse(text.text());
  const Manifest& manifest = bundle->manifest_;
  for (const FileEntry& file : manifest.files) check_file(folder, file);
  if (!manifest.ear) {
    fail(GALAGO_E_UNSUPPORTED, "%s: has no role \"ear\", the one this build can run",
         folder.c_str());
  }

  const Ear& ear = *manifest.ear;
  std::exception_ptr first_failure;
  std::string known;  // what the bundle would have had
  for (const Target& target : ear.targets) {
    const int chunk_ms = target.chunk_tokens * ear.token_ms();
    known += (known.empty() ? "" : ", ") + target.engine + " " + std::to_string(chunk_ms) + " ms";
    if (options.chunk_ms != 0 && options.chunk_ms != chunk_ms) continue;
    if (!options.backend.empty() && options.backend != target.engine) continue;
    try {
      bundle->engine_ = open_engine(folder, ear, target, options.engine);
      bundle->target_ = &target;
      log(GALAGO_LOG_INFO, "%s %s: target %s on %s, %s", manifest.name.c_str(),
          manifest.version.c_str(), target.name.c_str(), bundle->engine_->description().c_str(),
          bundle->engine_->precision().c_str());
      return bundle;
    } catch (const Error& error) {
      if (error.status() == GALAGO_E_CORRUPT) throw;
      log(GALAGO_LOG_WARNING, "target %s does not run here: %s", target.name.c_str(), error.what());
      if (!first_failure) first_failure = std::current_exception();
    }
  }
  if (first_failure) std::rethrow_exception(first_failure);
  std::string wanted;
  if (!options.backend.empty()) wanted += " of backend " + options.backend;
  if (options.chunk_ms != 0)
    wanted += " with chunks of " + std::to_string(options.chunk_ms) + " ms";
  fail(GALAGO_E_NOT_FOUND, "%s: no target%s; it has: %s", folder.c_str(), wanted.c_str(),
       known.c_str());
}

const char* Bundle::metadata(const std::string& key) const {
  std::lock_guard<std::mutex> lock(metadata_mutex_);
  const auto known = metadata_.find(key);
  if (known != metadata_.end()) return known->second.c_str();
  std::string text;
  if (key == "open.target") {
    text = target_->name;
  } else if (key == "open.engine") {
    text = engine_->description();
  } else if (key == "open.inference_precision") {
    text = engine_->precision();
  } else if (const Json* entry = find_entry(manifest_.root, key)) {
    text = entry->type == Json::Type::kString ? entry->string : entry->to_text();
  } else {
    fail(GALAGO_E_NOT_FOUND, "manifest.json has no \"%s\"", key.c_str());
  }
  return metadata_.emplace(key, std::move(text)).first->second.c_str();
}

}  // namespace galago
