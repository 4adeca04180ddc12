#include "bundle/bundle.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status.h"

namespace galago {
namespace {

constexpr uint64_t kMaxManifestBytes = 16 << 20;

std::shared_ptr<Engine> open_engine(const std::string& folder, const Target& target,
                                    const EngineOptions& options) {
  if (target.engine == "openvino") {
    return open_openvino(target, options, read_checked(folder, target.model),
                         read_checked(folder, target.weights));
  }
  fail(GALAGO_E_UNSUPPORTED, "target %s: this build has no engine \"%s\"", target.name.c_str(),
       target.engine.c_str());
}

// The first target that fits the options and runs here, into *opened, with its engine.
// `chunk_ms` tells that of a target; 0: it has none, and any fits.
template <typename Opened, typename T, typename ChunkMs>
void open_first(const std::string& folder, const std::string& role, const std::vector<T>& targets,
                const BundleOptions& options, const ChunkMs& chunk_ms, Opened* opened) {
  std::exception_ptr first_failure;
  std::string known;  // what the bundle would have had
  bool chunks_count = false;
  for (const T& target : targets) {
    const int target_ms = chunk_ms(target);
    chunks_count = chunks_count || target_ms != 0;
    known += (known.empty() ? "" : ", ") + target.engine;
    if (target_ms != 0) known += " " + std::to_string(target_ms) + " ms";
    if (options.chunk_ms != 0 && target_ms != 0 && options.chunk_ms != target_ms) continue;
    if (!options.backend.empty() && options.backend != target.engine) continue;
    try {
      opened->engine = open_engine(folder, target, options.engine);
      opened->target = target;
      log(GALAGO_LOG_INFO, "%s: target %s on %s, %s", role.c_str(), target.name.c_str(),
          opened->engine->description().c_str(), opened->engine->precision().c_str());
      return;
    } catch (const Error& error) {
      if (error.status() == GALAGO_E_CORRUPT) throw;
      log(GALAGO_LOG_WARNING, "target %s does not run here: %s", target.name.c_str(), error.what());
      if (!first_failure) first_failure = std::current_exception();
    }
  }
  if (first_failure) std::rethrow_exception(first_failure);
  std::string wanted;
  if (!options.backend.empty()) wanted += " of backend " + options.backend;
  if (options.chunk_ms != 0 && chunks_count) {
    wanted += " with chunks of " + std::to_string(options.chunk_ms) + " ms";
  }
  fail(GALAGO_E_NOT_FOUND, "%s: the %s has no target%s; it has: %s", folder.c_str(), role.c_str(),
       wanted.c_str(), known.c_str());
}

OpenedEar open_ear(const std::string& folder, const Ear& ear, const BundleOptions& options) {
  const auto chunk_ms = [&ear](const EarTarget& target) {
    return target.chunk_tokens * ear.token_ms();
  };
  const auto has_chunk = [&](const EarNetwork& network) {
    return std::any_of(
        network.targets.begin(), network.targets.end(),
        [&](const EarTarget& target) { return chunk_ms(target) == options.chunk_ms; });
  };
  OpenedEar opened;
  opened.ear = ear;
  std::optional<EarNetwork>& second = opened.ear.second_network;
  // Asked for by its chunk, the second network is all there is of the ear.
  if (second && options.chunk_ms != 0 && !has_chunk(ear.network) && has_chunk(*second)) {
    opened.ear.network = *std::exchange(second, std::nullopt);
  }
  open_first(folder, "ear", opened.ear.network.targets, options, chunk_ms, &opened);

  BundleOptions again = options;
  again.backend = opened.target.engine;
  again.chunk_ms = second ? 0 : ear.second_pass_chunk_tokens * ear.token_ms();
  if (second || ear.second_pass_chunk_tokens > opened.target.chunk_tokens) {
    OpenedSecondPass& second_pass = opened.second_pass.emplace();
    second_pass.network = second ? *second : opened.ear.network;
    open_first(folder, "ear's second pass", second_pass.network.targets, again, chunk_ms,
               &second_pass);
    if (second_pass.network.decoder) {
      const FileEntry& file = *second_pass.network.decoder;
      second_pass.decoder =
          PieceModel::parse(std::make_shared<const FileBytes>(read_checked(folder, file)));
      if (second_pass.decoder->width() != static_cast<size_t>(second_pass.target.row_width)) {
        fail(GALAGO_E_CORRUPT, "%s: reads rows of %zu numbers, those of %s have %d",
             file.path.c_str(), second_pass.decoder->width(), second_pass.target.name.c_str(),
             second_pass.target.row_width);
      }
    }
  }
  if (ear.word_model && ear.decoding_method == "words") {
    const auto words = std::make_shared<const FileBytes>(read_checked(folder, *ear.word_model));
    opened.word_model = WordModel::parse(words, words->data(), words->size());
  }
  return opened;
}

OpenedVoice open_voice(const std::string& folder, const Voice& voice,
                       const BundleOptions& options) {
  const auto no_chunk = [](const Target&) { return 0; };
  OpenedVoice opened;
  opened.voice = voice;
  open_first(folder, "voice", voice.speakers, options, no_chunk, &opened);
  // Of each number of phones the first reader that runs here.
  std::map<int, std::vector<VoiceReaderTarget>> readers;
  for (const VoiceReaderTarget& reader : voice.readers) {
    readers[reader.num_phones].push_back(reader);
  }
  for (const auto& [num_phones, targets] : readers) {
    OpenedReader reader;
    open_first(folder, "voice's reader", targets, options, no_chunk, &reader);
    opened.readers.push_back(std::move(reader));
  }
  const auto most_phones = static_cast<size_t>(opened.readers.back().target.num_phones);
  std::optional<FileBytes> g2p;
  if (voice.g2p) g2p = read_checked(folder, *voice.g2p);
  opened.text = std::make_shared<const VoiceText>(
      voice.phones, std::min(most_phones, SpeechText::kMaxSegmentPhones),
      read_checked(folder, voice.pronunciations), std::move(g2p));
  return opened;
}

// Which roles of the manifest are opened. Leaves those alone that options.roles does not name.
// Throws GALAGO_E_NOT_FOUND for one that the bundle does not have.
void keep_wanted(const std::string& folder, const std::string& roles, Manifest* manifest) {
  if (roles.empty()) return;
  const std::map<std::string, bool> there = {{"ear", manifest->ear.has_value()},
                                             {"eye", manifest->eye.has_value()},
                                             {"voice", manifest->voice.has_value()}};
  std::set<std::string> wanted;
  for (size_t begin = 0; begin <= roles.size();) {
    const size_t end = std::min(roles.find(',', begin), roles.size());
    const std::string role = roles.substr(begin, end - begin);
    const auto known = there.find(role);
    if (known == there.end() || !known->second) {
      fail(GALAGO_E_NOT_FOUND, "%s: has no \"%s\" that this build can run", folder.c_str(),
           role.c_str());
    }
    wanted.insert(role);
    begin = end + 1;
  }
  if (wanted.count("ear") == 0) manifest->ear.reset();
  if (wanted.count("eye") == 0) manifest->eye.reset();
  if (wanted.count("voice") == 0) manifest->voice.reset();
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
  if (!manifest.ear && !manifest.eye && !manifest.voice) {
    fail(GALAGO_E_UNSUPPORTED,
         "%s: has no role that this build can run; it runs \"ear\", \"eye\" and \"voice\"",
         folder.c_str());
  }
  keep_wanted(folder, options.roles, &bundle->manifest_);
  if (const auto& ear = manifest.ear) bundle->ear_ = open_ear(folder, *ear, options);
  if (const auto& eye = manifest.eye) {
    bundle->eye_.emplace();
    bundle->eye_->eye = *eye;
    const auto no_chunk = [](const EyeTarget&) { return 0; };
    open_first(folder, "eye", eye->targets, options, no_chunk, &*bundle->eye_);
  }
  if (const auto& voice = manifest.voice) bundle->voice_ = open_voice(folder, *voice, options);
  return bundle;
}

std::string Bundle::opened(const std::string& role, const std::string& what) const {
  const auto tell = [&](const auto& opened) -> std::string {
    if (what == "target") return opened.target.name;
    if (what == "engine") return opened.engine->description();
    if (what == "inference_precision") return opened.engine->precision();
    return "";
  };
  if (ear_ && (role.empty() || role == "ear")) return tell(*ear_);
  if (eye_ && (role.empty() || role == "eye")) return tell(*eye_);
  if (voice_ && (role.empty() || role == "voice")) return tell(*voice_);
  return "";
}

const char* Bundle::metadata(const std::string& key) const {
  std::lock_guard<std::mutex> lock(metadata_mutex_);
  const auto known = metadata_.find(key);
  if (known != metadata_.end()) return known->second.c_str();
  std::string text;
  if (key.compare(0, 5, "open.") == 0) {
    // "open.target" is that of the first role, "open.ear.target" names one.
    const size_t dot = key.find('.', 5);
    const std::string role = dot == std::string::npos ? "" : key.substr(5, dot - 5);
    text = opened(role, key.substr(dot == std::string::npos ? 5 : dot + 1));
    if (text.empty()) fail(GALAGO_E_NOT_FOUND, "nothing is known of \"%s\"", key.c_str());
  } else if (const Json* entry = find_entry(manifest_.root, key)) {
    text = entry->type == Json::Type::kString ? entry->string : entry->to_text();
  } else {
    fail(GALAGO_E_NOT_FOUND, "manifest.json has no \"%s\"", key.c_str());
  }
  return metadata_.emplace(key, std::move(text)).first->second.c_str();
}

}  // namespace galago
