#include "manifest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "ctc_alignment.h"
#include "manifest_entry.h"
#include "status.h"

namespace galago {
namespace {

using Entry = ManifestEntry;

// Whole numbers up to this are exact in JSON's double.
constexpr int64_t kMaxExact = int64_t{1} << 53;

constexpr int64_t kMaxModelSide = 2048;  // pixels
constexpr size_t kMaxLabels = 65536;
constexpr size_t kMaxLabelBytes = 255;

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

FeatureOptions read_features(const Entry& entry) {
  FeatureOptions options;
  const std::string& type = entry.at("type").string();
  options.sample_rate_hz = static_cast<int>(entry.at("sample_rate_hz").integer(1000, 384000));
  options.hop_samples = static_cast<int>(entry.at("hop_samples").integer(1, 65536));
  if (type == "raw_samples") {
    options.type = FeatureOptions::Type::kRawSamples;
    options.window_samples = options.hop_samples;
    return options;
  }
  entry.expect_known("type", "kaldi_log_mel");
  options.window_samples = static_cast<int>(entry.at("window_samples").integer(2, 65536));
  options.fft_size = static_cast<int>(entry.at("fft_size").integer(64, 65536));
  options.num_mels = static_cast<int>(entry.at("num_mels").integer(1, 1024));
  options.low_hz = static_cast<float>(entry.at("low_hz").number(0, 192000));
  options.high_hz = static_cast<float>(entry.at("high_hz").number(0, 192000));
  options.preemphasis = static_cast<float>(entry.at("preemphasis").number(0, 1));
  options.log_floor = static_cast<float>(entry.at("log_floor").number(1e-30, 1));
  if (options.hop_samples > options.window_samples) {
    entry.complain("hop_samples is larger than window_samples");
  }
  return options;
}

EarTarget read_ear_target(const Entry& entry, const std::vector<FileEntry>& files, const Ear& ear) {
  EarTarget target;
  read_target(entry, files, &target);
  if (!entry.at("stateful").boolean()) {
    entry.at("stateful").complain("only graphs that keep their states are known");
  }
  target.chunk_tokens = static_cast<int>(entry.at("chunk_tokens").integer(1, 1024));
  target.chunk_frames = static_cast<int>(entry.at("chunk_frames").integer(1, 65536));
  if (target.chunk_frames != target.chunk_tokens * ear.subsampling_factor) {
    entry.at("chunk_frames").complain("is not chunk_tokens * subsampling_factor");
  }
  target.left_context_tokens =
      static_cast<int>(entry.at("left_context_tokens").integer(0, 1 << 20));
  target.lookahead_tokens = static_cast<int>(entry.at("lookahead_tokens").integer(0, 1024));
  const auto num_phones = static_cast<int64_t>(ear.phones.size());
  const auto num_tokens = static_cast<int64_t>(ear.tokens.size());
  target.inputs = {read_tensor(entry, "inputs", "features",
                               {1, target.chunk_frames, ear.features.values_per_frame()}),
                   read_tensor(entry, "inputs", "keep", {1})};
  target.outputs = {
      read_tensor(entry, "outputs", "phone_log_probs", {1, target.chunk_tokens, num_phones}),
      read_tensor(entry, "outputs", "token_log_probs", {1, target.chunk_tokens, num_tokens})};
  return target;
}

void expect_characters(const Entry& entry, const std::vector<std::string>& tokens) {
  if (tokens.size() > CtcAlignment::kMaxTokens ||
      std::none_of(tokens.begin() + 1, tokens.end(),
                   [](const std::string& token) { return token.size() == 1; })) {
    entry.complain("needs tokens that are characters, at most " +
                   std::to_string(CtcAlignment::kMaxTokens));
  }
}

Acceptance read_acceptance(const Entry& entry, const std::vector<std::string>& tokens) {
  expect_characters(entry, tokens);
  const auto read = [&entry](const char* key, double low, double high) {
    return static_cast<float>(entry.at(key).number(low, high));
  };
  Acceptance acceptance;
  acceptance.bias = read("bias", -1000, 1000);
  acceptance.phone_ratio = read("phone_ratio", -1000, 1000);
  acceptance.character_ratio = read("character_ratio", -1000, 1000);
  acceptance.character_doubt = read("character_doubt", -1000, 1000);
  acceptance.threshold = read("threshold", 0, 1);
  return acceptance;
}

Ear read_ear(const Entry& entry, const std::vector<FileEntry>& files) {
  entry.expect_known("type", "streaming_ctc");
  Ear ear;
  ear.features = read_features(entry.at("features"));
  ear.subsampling_factor = static_cast<int>(entry.at("subsampling_factor").integer(1, 64));
  if (1000LL * ear.token_samples() % ear.features.sample_rate_hz != 0) {
    entry.at("subsampling_factor").complain("a token does not last whole milliseconds");
  }
  ear.tokens = read_names(entry.at("tokens"), 65536);
  ear.phones = read_names(entry.at("phones"), 256);
  for (const Entry& item : entry.at("phone_log_priors").items()) {
    ear.phone_log_priors.push_back(static_cast<float>(item.number(-100, 0)));
  }
  if (ear.phone_log_priors.size() != ear.phones.size()) {
    entry.at("phone_log_priors")
        .complain("has " + std::to_string(ear.phone_log_priors.size()) + " numbers for " +
                  std::to_string(ear.phones.size()) + " phones");
  }
  for (const Entry& item : entry.at("targets").items()) {
    ear.targets.push_back(read_ear_target(item, files, ear));
  }
  if (ear.targets.empty()) entry.at("targets").complain("is empty");

  if (const auto decoding = entry.find("decoding")) {
    if (const auto method = decoding->find("method")) {
      ear.decoding_method = method->string();
      if (ear.decoding_method != "greedy" && ear.decoding_method != "beam" &&
          ear.decoding_method != "words") {
        method->complain("expected \"greedy\", \"beam\" or \"words\"");
      }
    }
    if (const auto file = decoding->find("word_model")) ear.word_model = find_file(*file, files);
    if (ear.decoding_method == "words" && !ear.word_model) {
      decoding->complain("method \"words\" needs a word_model");
    }
    read_int(*decoding, "beam_width", 1, 64, &ear.beam_width);
    read_int(*decoding, "word_beam_width", 1, 1024, &ear.word_beam_width);
    read_int(*decoding, "final_word_beam_width", 1, 1024, &ear.final_word_beam_width);
    read_float(*decoding, "word_beam_nats", 0.1, 1000, &ear.word_beam_nats);
    read_float(*decoding, "language_weight", 0, 100, &ear.language_weight);
    read_float(*decoding, "word_bonus", -100, 100, &ear.word_bonus);
    read_int(*decoding, "num_hypotheses", 1, 256, &ear.num_hypotheses);
    read_float(*decoding, "character_weight", 0, 100, &ear.character_weight);
    if (ear.character_weight > 0) expect_characters(decoding->at("character_weight"), ear.tokens);
    read_float(*decoding, "hotword_boost", 0.01, 20, &ear.hotword_boost);
    if (const auto chunk = decoding->find("second_pass_chunk_tokens")) {
      ear.second_pass_chunk_tokens = static_cast<int>(chunk->integer(1, 1024));
      if (std::none_of(ear.targets.begin(), ear.targets.end(), [&ear](const EarTarget& target) {
            return target.chunk_tokens == ear.second_pass_chunk_tokens;
          }))
        chunk->complain("no target has chunks of so many tokens");
    }
  }
  if (const auto voice = entry.find("voice_activity")) {
    read_float(*voice, "start_probability", 0.001, 1, &ear.voice_start_probability);
    read_float(*voice, "stop_probability", 0, 1, &ear.voice_stop_probability);
    read_int(*voice, "start_ms", 0, 5000, &ear.voice_start_ms);
    read_int(*voice, "stop_ms", 0, 5000, &ear.voice_stop_ms);
    read_int(*voice, "padding_ms", 0, 5000, &ear.voice_padding_ms);
    if (ear.voice_stop_probability > ear.voice_start_probability) {
      voice->complain("stop_probability is above start_probability");
    }
  }
  if (const auto endpoint = entry.find("endpoint")) {
    read_int(*endpoint, "silence_ms", 40, 60000, &ear.endpoint_silence_ms);
    read_int(*endpoint, "max_utterance_ms", 1000, 300000, &ear.max_utterance_ms);
  }
  if (const auto grammar = entry.find("grammar")) {
    read_float(*grammar, "prior_scale", 0, 1, &ear.prior_scale);
    read_float(*grammar, "accept_mean", -100, 0, &ear.accept_mean);
    read_float(*grammar, "accept_worst_word", -100, 0, &ear.accept_worst_word);
    if (const auto acceptance = grammar->find("acceptance")) {
      ear.acceptance = read_acceptance(*acceptance, ear.tokens);
    }
    read_float(*grammar, "phrase_threshold", -100, -1e-6, &ear.phrase_threshold);
  }
  return ear;
}

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
