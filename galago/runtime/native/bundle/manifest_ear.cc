// The role "ear" of manifest.json; docs/bundles.md has its contract.
#include <algorithm>

#include "bundle/manifest_entry.h"
#include "bundle/manifest_roles.h"
#include "decoding/ctc_alignment.h"

namespace galago {
namespace {

using Entry = ManifestEntry;

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

// `ear` has its tokens and phones already, `network` its features.
EarTarget read_ear_target(const Entry& entry, const std::vector<FileEntry>& files, const Ear& ear,
                          const EarNetwork& network) {
  EarTarget target;
  read_target(entry, files, &target);
  if (!entry.at("stateful").boolean()) {
    entry.at("stateful").complain("only graphs that keep their states are known");
  }
  target.chunk_tokens = static_cast<int>(entry.at("chunk_tokens").integer(1, 1024));
  target.chunk_frames = static_cast<int>(entry.at("chunk_frames").integer(1, 65536));
  if (target.chunk_frames != target.chunk_tokens * network.subsampling_factor) {
    entry.at("chunk_frames").complain("is not chunk_tokens * subsampling_factor");
  }
  target.left_context_tokens =
      static_cast<int>(entry.at("left_context_tokens").integer(0, 1 << 20));
  target.lookahead_tokens = static_cast<int>(entry.at("lookahead_tokens").integer(0, 1024));
  const auto num_phones = static_cast<int64_t>(ear.phones.size());
  const auto num_tokens = static_cast<int64_t>(ear.tokens.size());
  target.inputs = {read_tensor(entry, "inputs", "features",
                               {1, target.chunk_frames, network.features.values_per_frame()}),
                   read_tensor(entry, "inputs", "keep", {1})};
  target.outputs = {
      read_tensor(entry, "outputs", "phone_log_probs", {1, target.chunk_tokens, num_phones}),
      read_tensor(entry, "outputs", "token_log_probs", {1, target.chunk_tokens, num_tokens})};
  if (network.decoder) {
    target.chunk_rows = static_cast<int>(entry.at("chunk_rows").integer(1, 65536));
    target.row_width = static_cast<int>(entry.at("row_width").integer(1, 65536));
    target.outputs.push_back(
        read_tensor(entry, "outputs", "rows", {1, target.chunk_rows, target.row_width}));
  }
  return target;
}

// `ear` has its tokens and phones already.
EarNetwork read_network(const Entry& entry, const std::vector<FileEntry>& files, const Ear& ear) {
  EarNetwork network;
  network.features = read_features(entry.at("features"));
  network.subsampling_factor = static_cast<int>(entry.at("subsampling_factor").integer(1, 64));
  if (1000LL * network.token_samples() % network.features.sample_rate_hz != 0) {
    entry.at("subsampling_factor").complain("a token does not last whole milliseconds");
  }
  for (const Entry& item : entry.at("phone_log_priors").items()) {
    network.phone_log_priors.push_back(static_cast<float>(item.number(-100, 0)));
  }
  if (network.phone_log_priors.size() != ear.phones.size()) {
    entry.at("phone_log_priors")
        .complain("has " + std::to_string(network.phone_log_priors.size()) + " numbers for " +
                  std::to_string(ear.phones.size()) + " phones");
  }
  if (const auto decoder = entry.find("decoder")) network.decoder = find_file(*decoder, files);
  for (const Entry& item : entry.at("targets").items()) {
    network.targets.push_back(read_ear_target(item, files, ear, network));
  }
  if (network.targets.empty()) entry.at("targets").complain("is empty");
  return network;
}

// `ear` has its first network already.
EarNetwork read_second_network(const Entry& entry, const std::vector<FileEntry>& files,
                               const Ear& ear) {
  EarNetwork network = read_network(entry, files, ear);
  const auto token = [](const EarNetwork& of) {
    return std::to_string(of.token_samples()) + " samples at " +
           std::to_string(of.features.sample_rate_hz) + " Hz";
  };
  if (token(network) != token(ear.network)) {
    entry.at("subsampling_factor")
        .complain("a token has " + token(network) + ", the ear's has " + token(ear.network));
  }
  // Another window might reach beyond the samples that the first pass waits for.
  if (network.features.type != FeatureOptions::Type::kRawSamples &&
      network.features != ear.network.features) {
    entry.at("features").complain("expected raw_samples, or the same as the ear's");
  }
  for (const Entry& item : entry.at("targets").items()) {
    const Entry name = item.at("name");
    if (std::any_of(ear.network.targets.begin(), ear.network.targets.end(),
                    [&name](const EarTarget& target) { return target.name == name.string(); })) {
      name.complain("\"" + name.string() + "\" is a target of the ear's first network too");
    }
  }
  return network;
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

}  // namespace

Ear read_ear(const Entry& entry, const std::vector<FileEntry>& files) {
  entry.expect_known("type", "streaming_ctc");
  Ear ear;
  ear.tokens = read_names(entry.at("tokens"), 65536);
  ear.phones = read_names(entry.at("phones"), 256);
  ear.network = read_network(entry, files, ear);
  if (const auto second = entry.find("second_pass")) {
    ear.second_network = read_second_network(*second, files, ear);
  }

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
    if (const auto weight = decoding->find("final_language_weight"))
      ear.final_language_weight = static_cast<float>(weight->number(0, 100));
    read_float(*decoding, "hotword_boost", 0.01, 20, &ear.hotword_boost);
    if (const auto chunk = decoding->find("second_pass_chunk_tokens")) {
      ear.second_pass_chunk_tokens = static_cast<int>(chunk->integer(1, 1024));
      if (ear.second_network) chunk->complain("the ear has a second_pass of another network");
      const auto& targets = ear.network.targets;
      if (std::none_of(targets.begin(), targets.end(), [&ear](const EarTarget& target) {
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
    read_float(*grammar, "second_pass_share", 0, 1, &ear.grammar_second_pass_share);
  }
  return ear;
}

}  // namespace galago
