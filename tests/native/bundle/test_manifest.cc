// manifest.json: what is read, and that every wrong entry is refused with its place.
#include "bundle/manifest.h"

#include <string>

#include "base/status.h"
#include "check.h"

using namespace galago;

namespace {

const std::string kHash(64, 'a');

std::string manifest_text() {
  return R"({"schema_version": 1, "name": "n", "version": "1", "files": {
    "ear/m.xml": {"sha256": ")" +
         kHash + R"(", "size_bytes": 10},
    "ear/m.bin": {"sha256": ")" +
         kHash + R"(", "size_bytes": 20}},
  "roles": {"ear": {"type": "streaming_ctc",
    "features": {"type": "kaldi_log_mel", "sample_rate_hz": 16000, "window_samples": 400,
      "hop_samples": 160, "fft_size": 512, "num_mels": 80, "low_hz": 20.0, "high_hz": 8000.0,
      "preemphasis": 0.97, "log_floor": 1.1920929e-07},
    "subsampling_factor": 4, "tokens": ["<blank>", " ", "a"], "phones": ["SIL", "AA"],
    "phone_log_priors": [-0.7, -0.7],
    "targets": [{"name": "t", "engine": "openvino", "dtype": "int8", "model": "ear/m.xml",
      "weights": "ear/m.bin", "inference_precision": "f32", "stateful": true, "chunk_tokens": 8,
      "chunk_frames": 32, "left_context_tokens": 32, "lookahead_tokens": 2,
      "inputs": {"features": "f", "keep": "k"},
      "outputs": {"phone_log_probs": "p", "token_log_probs": "t"}, "states": []}],
    "endpoint": {"silence_ms": 700}, "future": {"unknown": [1]}}}})";
}

std::string changed(const std::string& from, const std::string& to) {
  std::string text = manifest_text();
  const size_t at = text.find(from);
  CHECK(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST(a_manifest_is_read_and_unknown_keys_are_ignored) {
  const Manifest manifest = Manifest::parse(manifest_text());
  CHECK_EQ(manifest.files.size(), 2u);
  CHECK(manifest.ear.has_value());
  CHECK_EQ(manifest.ear->token_samples(), 640);
  CHECK_EQ(manifest.ear->token_ms(), 40);
  CHECK_EQ(manifest.ear->endpoint_silence_ms, 700);
  CHECK_EQ(manifest.ear->max_utterance_ms, 20000);  // the default
  const EarTarget& target = manifest.ear->network.targets.at(0);
  CHECK_EQ(target.weights.size_bytes, 20u);
  CHECK_EQ(target.lookahead_tokens, 2);
  CHECK_EQ(target.inputs.at(EarTarget::kKeep).name, "k");
  CHECK(target.inputs.at(EarTarget::kFeatures).shape == (std::vector<int64_t>{1, 32, 80}));
  CHECK_EQ(target.outputs.at(EarTarget::kTokenLogProbs).key, "outputs.token_log_probs");
  CHECK(target.outputs.at(EarTarget::kTokenLogProbs).shape == (std::vector<int64_t>{1, 8, 3}));
}

TEST(raw_samples_are_frames_of_their_hop) {
  std::string text = changed("\"chunk_frames\": 32", "\"chunk_frames\": 8");
  const auto change = [&text](const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
  };
  change("kaldi_log_mel", "raw_samples");
  change("\"hop_samples\": 160", "\"hop_samples\": 320");
  change("\"subsampling_factor\": 4", "\"subsampling_factor\": 1");
  const Manifest manifest = Manifest::parse(text);
  const Ear& ear = *manifest.ear;
  CHECK_EQ(ear.network.features.window_samples, 320);
  CHECK_EQ(ear.token_ms(), 20);
  CHECK(ear.network.targets.at(0).inputs.at(EarTarget::kFeatures).shape ==
        (std::vector<int64_t>{1, 8, 320}));
}

namespace {

// The ear with a second pass by samples, in which `from` is `to`.
std::string with_second_pass(const std::string& from = "", const std::string& to = "") {
  std::string second = R"("second_pass": {
    "features": {"type": "raw_samples", "sample_rate_hz": 16000, "hop_samples": 640},
    "subsampling_factor": 1, "phone_log_priors": [-0.5, -0.9],
    "targets": [{"name": "s", "engine": "openvino", "dtype": "int8", "model": "ear/m.xml",
      "weights": "ear/m.bin", "inference_precision": "f32", "stateful": true, "chunk_tokens": 12,
      "chunk_frames": 12, "left_context_tokens": 48, "lookahead_tokens": 0,
      "inputs": {"features": "f", "keep": "k"},
      "outputs": {"phone_log_probs": "p", "token_log_probs": "t"}}]}, )";
  const size_t at = second.find(from);
  CHECK(at != std::string::npos);
  second.replace(at, from.size(), to);
  return changed("\"endpoint\": {", second + "\"endpoint\": {");
}

}  // namespace

TEST(an_ear_may_have_a_second_network) {
  CHECK(!Manifest::parse(manifest_text()).ear->second_network.has_value());
  const Manifest manifest = Manifest::parse(with_second_pass());
  const Ear& ear = *manifest.ear;
  CHECK(ear.network.features.type == FeatureOptions::Type::kLogMel);
  CHECK(ear.second_network.has_value());
  if (!ear.second_network) return;
  const EarNetwork& second = *ear.second_network;
  CHECK(second.features.type == FeatureOptions::Type::kRawSamples);
  CHECK_EQ(second.token_samples(), ear.token_samples());
  CHECK(second.phone_log_priors == (std::vector<float>{-0.5f, -0.9f}));
  CHECK_EQ(second.targets.at(0).chunk_tokens, 12);
  CHECK(second.targets.at(0).inputs.at(EarTarget::kFeatures).shape ==
        (std::vector<int64_t>{1, 12, 640}));
  CHECK(second.targets.at(0).outputs.at(EarTarget::kPhoneLogProbs).shape ==
        (std::vector<int64_t>{1, 12, 2}));
}

TEST(a_second_network_may_see_what_the_first_one_does) {
  std::string text = with_second_pass(
      R"("features": {"type": "raw_samples", "sample_rate_hz": 16000, "hop_samples": 640},
    "subsampling_factor": 1)",
      R"("features": {"type": "kaldi_log_mel", "sample_rate_hz": 16000, "window_samples": 400,
      "hop_samples": 160, "fft_size": 512, "num_mels": 80, "low_hz": 20.0, "high_hz": 8000.0,
      "preemphasis": 0.97, "log_floor": 1.1920929e-07}, "subsampling_factor": 4)");
  text.replace(text.find("\"chunk_frames\": 12"), 18, "\"chunk_frames\": 48");
  const Ear ear = *Manifest::parse(text).ear;
  CHECK(ear.second_network && ear.second_network->features == ear.network.features);
  text.replace(text.rfind("\"num_mels\": 80"), 14, "\"num_mels\": 40");
  CHECK_THROWS(Manifest::parse(text),
               "roles.ear.second_pass.features: expected raw_samples, or the same as the ear's");
}

TEST(a_second_network_that_does_not_fit_the_ear_is_refused_with_its_place) {
  const struct {
    const char *from, *to, *message;
  } cases[] = {
      {"\"subsampling_factor\": 1, ", "", "roles.ear.second_pass: lacks \"subsampling_factor\""},
      {"\"hop_samples\": 640", "\"hop_samples\": 320",
       "roles.ear.second_pass.subsampling_factor: a token has 320 samples at 16000 Hz, the ear's "
       "has 640 samples at 16000 Hz"},
      {"\"sample_rate_hz\": 16000", "\"sample_rate_hz\": 8000",
       "a token has 640 samples at 8000 Hz"},
      {"raw_samples", "mfcc", "roles.ear.second_pass.features.type: \"mfcc\" is not known"},
      {"[-0.5, -0.9]", "[-0.5]",
       "roles.ear.second_pass.phone_log_priors: has 1 numbers for 2 phones"},
      {"[-0.5, -0.9]", "[-0.5, 0.9]", "roles.ear.second_pass.phone_log_priors[1]: 0.9 is outside"},
      {"\"name\": \"s\"", "\"name\": \"t\"",
       "roles.ear.second_pass.targets[0].name: \"t\" is a target of the ear's first network too"},
      {"\"chunk_frames\": 12", "\"chunk_frames\": 48",
       "roles.ear.second_pass.targets[0].chunk_frames: is not chunk_tokens * subsampling_factor"},
      {"\"model\": \"ear/m.xml\"", "\"model\": \"ear/x.xml\"",
       "roles.ear.second_pass.targets[0].model: \"ear/x.xml\" is not among the files"},
      {"}]}, ", "}]}, \"decoding\": {\"second_pass_chunk_tokens\": 8}, ",
       "roles.ear.decoding.second_pass_chunk_tokens: the ear has a second_pass of another network"},
  };
  for (const auto& one : cases) {
    CHECK_THROWS(Manifest::parse(with_second_pass(one.from, one.to)), one.message);
  }
  std::string text = with_second_pass();
  const size_t begin = text.find("{\"name\": \"s\"");
  text.erase(begin, text.find("}]}, ", begin) + 1 - begin);
  CHECK_THROWS(Manifest::parse(text), "roles.ear.second_pass.targets: is empty");
}

TEST(an_acceptance_is_read_whole_or_refused) {
  CHECK(!Manifest::parse(manifest_text()).ear->acceptance.has_value());
  const std::string from = "\"endpoint\": {";
  const auto with = [&from](const std::string& acceptance) {
    return changed(from, "\"grammar\": {\"acceptance\": {" + acceptance + "}}, " + from);
  };
  const std::string weights =
      R"("bias": 6.4, "phone_ratio": 1, "character_ratio": 1.5, "character_doubt": -3)";
  const auto read = Manifest::parse(with(weights + R"(, "threshold": 0.25)")).ear->acceptance;
  CHECK(read.has_value());
  CHECK_EQ(read->bias, 6.4f);
  CHECK_EQ(read->phone_ratio, 1.0f);
  CHECK_EQ(read->character_ratio, 1.5f);
  CHECK_EQ(read->character_doubt, -3.0f);
  CHECK_EQ(read->threshold, 0.25f);
  CHECK_THROWS(Manifest::parse(with(weights)), "grammar.acceptance: lacks \"threshold\"");
  CHECK_THROWS(Manifest::parse(with(weights + R"(, "threshold": 2)")),
               "grammar.acceptance.threshold: 2 is outside");
  std::string pieces = with(weights + R"(, "threshold": 0.25)");
  pieces.replace(pieces.find("\" \", \"a\"]"), 9, "\"ab\", \"cd\"]");
  CHECK_THROWS(Manifest::parse(pieces), "needs tokens that are characters");
}

TEST(finals_may_be_chosen_by_their_characters) {
  const Ear plain = *Manifest::parse(manifest_text()).ear;
  CHECK_EQ(plain.character_weight, 0.0f);
  CHECK_EQ(plain.final_word_beam_width, 0);
  const std::string from = "\"endpoint\": {";
  const auto with = [&from](const std::string& decoding) {
    return changed(from, "\"decoding\": {" + decoding + "}, " + from);
  };
  const Ear ear =
      *Manifest::parse(
           with(R"("final_word_beam_width": 200, "num_hypotheses": 20, "character_weight": 0.5)"))
           .ear;
  CHECK_EQ(ear.final_word_beam_width, 200);
  CHECK_EQ(ear.num_hypotheses, 20);
  CHECK_EQ(ear.character_weight, 0.5f);
  CHECK(!ear.final_language_weight.has_value());
  const Ear weighed = *Manifest::parse(with(R"("final_language_weight": 1.5)")).ear;
  CHECK_EQ(weighed.final_language_weight.value_or(-1.0f), 1.5f);
  CHECK_THROWS(Manifest::parse(with(R"("final_language_weight": 101)")),
               "decoding.final_language_weight: 101 is outside");
  CHECK_THROWS(Manifest::parse(with(R"("final_word_beam_width": 0)")),
               "decoding.final_word_beam_width: 0 is outside");
  CHECK_THROWS(Manifest::parse(with(R"("num_hypotheses": 257)")),
               "decoding.num_hypotheses: 257 is outside");
  CHECK_THROWS(Manifest::parse(with(R"("character_weight": -1)")),
               "decoding.character_weight: -1 is outside");
  std::string pieces = with(R"("character_weight": 0.5)");
  pieces.replace(pieces.find("\" \", \"a\"]"), 9, "\"ab\", \"cd\"]");
  CHECK_THROWS(Manifest::parse(pieces),
               "decoding.character_weight: needs tokens that are characters");
}

TEST(a_bundle_without_an_ear_is_read_too) {
  std::string text = changed("\"ear\": {\"type\"", "\"nose\": {\"type\"");
  CHECK(!Manifest::parse(text).ear.has_value());
}

TEST(another_schema_is_unsupported_not_corrupt) {
  try {
    Manifest::parse(changed("\"schema_version\": 1", "\"schema_version\": 7"));
    CHECK(false);
  } catch (const Error& error) {
    CHECK_EQ(error.status(), GALAGO_E_UNSUPPORTED);
    CHECK(std::strstr(error.what(), "schema_version is 7") != nullptr);
  }
}

TEST(every_wrong_entry_is_refused_with_its_place) {
  const struct {
    const char *from, *to, *message;
  } cases[] = {
      {"\"name\": \"n\", ", "", "top level: lacks \"name\""},
      {"\"version\": \"1\"", "\"version\": 1", "version: expected a string, found a number"},
      {"\"ear/m.xml\": {", "\"../m.xml\": {", "not a plain relative path"},
      {"\"ear/m.xml\": {", "\"/m.xml\": {", "not a plain relative path"},
      {"\"ear/m.xml\": {", "\"ear\\\\m.xml\": {", "not a plain relative path"},
      {"\"ear/m.xml\": {", "\"ear//m.xml\": {", "not a plain relative path"},
      {"\"ear/m.xml\": {", "\"\": {", "not a plain relative path"},
      {"aaaa\", \"size_bytes\": 10", "AAAA\", \"size_bytes\": 10", "hexadecimal"},
      {"\"size_bytes\": 10", "\"size_bytes\": -1",
       "files[\"ear/m.xml\"].size_bytes: -1 is outside"},
      {"\"size_bytes\": 10", "\"size_bytes\": 1.5", "not a whole number"},
      {"\"model\": \"ear/m.xml\"", "\"model\": \"ear/x.xml\"", "is not among the files"},
      {"streaming_ctc", "transducer", "not known to this build"},
      {"kaldi_log_mel", "mfcc", "not known to this build"},
      {"\"hop_samples\": 160", "\"hop_samples\": 500", "hop_samples is larger"},
      {"\"num_mels\": 80", "\"num_mels\": 0", "roles.ear.features.num_mels: 0 is outside"},
      {"\"tokens\": [\"<blank>\", \" \", \"a\"]", "\"tokens\": []", "roles.ear.tokens"},
      {"\"SIL\", \"AA\"", "\"SIL\", \"SIL\"", "roles.ear.phones[1]: stands there twice"},
      {"[-0.7, -0.7]", "[-0.7]", "has 1 numbers for 2 phones"},
      {"[-0.7, -0.7]", "[-0.7, 0.5]", "roles.ear.phone_log_priors[1]: 0.5 is outside"},
      {"\"chunk_frames\": 32", "\"chunk_frames\": 31", "is not chunk_tokens * subsampling_factor"},
      {"\"stateful\": true", "\"stateful\": false", "targets[0].stateful"},
      {"\"stateful\": true", "\"stateful\": 1", "expected true or false, found a number"},
      {"\"inference_precision\": \"f32\"", "\"inference_precision\": \"f64\"",
       "\"f32\" or \"bf16\""},
      {"\"inputs\": {\"features\": \"f\", ", "\"inputs\": {",
       "targets[0].inputs: lacks \"features\""},
      {"\"silence_ms\": 700", "\"silence_ms\": 1e9", "roles.ear.endpoint.silence_ms"},
      {"\"subsampling_factor\": 4", "\"subsampling_factor\": 0", "subsampling_factor"},
      {"\"roles\": {\"ear\": {", "\"roles\": {\"ear\": [], \"x\": {",
       "roles.ear: expected an object"},
  };
  for (const auto& one : cases) {
    CHECK_THROWS(Manifest::parse(changed(one.from, one.to)), one.message);
  }
}

namespace {

std::string eye_text() {
  return R"({"schema_version": 1, "name": "n", "version": "1", "files": {
    "eye/m.xml": {"sha256": ")" +
         kHash + R"(", "size_bytes": 10},
    "eye/m.bin": {"sha256": ")" +
         kHash + R"(", "size_bytes": 20}},
  "roles": {"eye": {"type": "image_labels",
    "image": {"width": 128, "height": 96, "mean": [0.4, 0.5, 0.6], "std": [0.1, 0.2, 0.3],
      "fit": "cover"},
    "labels": [{"name": "Apple", "group": "grocery"}, {"name": "7", "group": "hand_sign"}],
    "temperature": 1.5, "accept_probability": 0.25, "smoothing_half_life_ms": 400,
    "targets": [{"name": "t", "engine": "openvino", "dtype": "int8", "model": "eye/m.xml",
      "weights": "eye/m.bin", "inference_precision": "f32", "inputs": {"image": "i"},
      "outputs": {"logits": "l"}}]}, "future": {"unknown": [1]}}})";
}

}  // namespace

TEST(an_eye_is_read) {
  const Manifest manifest = Manifest::parse(eye_text());
  CHECK(!manifest.ear.has_value());
  CHECK(manifest.eye.has_value());
  const Eye& eye = *manifest.eye;
  CHECK_EQ(eye.image.width, 128);
  CHECK_EQ(eye.image.height, 96);
  CHECK_EQ(eye.image.mean[2], 0.6f);
  CHECK_EQ(eye.image.std[0], 0.1f);
  CHECK_EQ(eye.labels.at(1), "7");
  CHECK_EQ(eye.scores.temperature, 1.5f);
  CHECK_EQ(eye.scores.accept_probability, 0.25f);
  CHECK_EQ(eye.scores.smoothing_half_life_ms, 400);
  const EyeTarget& target = eye.targets.at(0);
  CHECK(target.inputs.at(EyeTarget::kImage).shape == (std::vector<int64_t>{1, 3, 96, 128}));
  CHECK(target.outputs.at(EyeTarget::kLogits).shape == (std::vector<int64_t>{1, 2}));
  CHECK_EQ(target.outputs.at(EyeTarget::kLogits).name, "l");
}

TEST(every_wrong_entry_of_an_eye_is_refused_with_its_place) {
  const struct {
    const char *from, *to, *message;
  } cases[] = {
      {"image_labels", "detector", "not known to this build"},
      {"\"cover\"", "\"stretch\"", "roles.eye.image.fit: \"stretch\" is not known"},
      {"\"width\": 128", "\"width\": 0", "roles.eye.image.width: 0 is outside"},
      {"\"width\": 128", "\"width\": 4096", "roles.eye.image.width"},
      {"[0.4, 0.5, 0.6]", "[0.4, 0.5]", "roles.eye.image.mean: expected three numbers"},
      {"[0.1, 0.2, 0.3]", "[0.1, 0.2, 0]", "roles.eye.image.std[2]: 0 is outside"},
      {"\"Apple\"", "\"7\"", "roles.eye.labels[1].name: stands there twice"},
      {"\"Apple\"", "\"\"", "roles.eye.labels[0].name: expected 1 to 255 bytes"},
      {"{\"name\": \"Apple\", \"group\": \"grocery\"}, ", "", "expected 2 to 65536 labels"},
      {"\"temperature\": 1.5", "\"temperature\": 0", "roles.eye.temperature"},
      {"\"accept_probability\": 0.25", "\"accept_probability\": 1.5", "accept_probability"},
      {"_half_life_ms\": 400", "_half_life_ms\": -1", "smoothing_half_life_ms"},
      {"\"model\": \"eye/m.xml\"", "\"model\": \"x\"", "is not among the files"},
      {"\"inputs\": {\"image\": \"i\"}", "\"inputs\": {}", "targets[0].inputs: lacks \"image\""},
      {"{\"logits\": \"l\"}", "{\"logits\": 7}", "outputs.logits: expected a string"},
  };
  for (const auto& one : cases) {
    std::string text = eye_text();
    const size_t at = text.find(one.from);
    CHECK(at != std::string::npos);
    if (at == std::string::npos) continue;
    CHECK_THROWS(Manifest::parse(text.replace(at, std::strlen(one.from), one.to)), one.message);
  }
}

namespace {

std::string voice_text() {
  std::string files;
  for (const char* name : {"v/r.xml", "v/r.bin", "v/s.xml", "v/s.bin", "v/p.bin", "v/g.bin"}) {
    files += (files.empty() ? "\"" : ", \"") + std::string(name) + "\": {\"sha256\": \"" + kHash +
             "\", \"size_bytes\": 10}";
  }
  const std::string target =
      R"("engine": "openvino", "dtype": "int8", "inference_precision": "f32", )";
  return R"({"schema_version": 1, "name": "n", "version": "1", "files": {)" + files +
         R"(}, "roles": {"voice": {"type": "fastspeech_streamed",
    "sample_rate_hz": 16000, "hop_samples": 160, "row_width": 192, "num_bins": 321,
    "delay_frames": 20, "chunk_frames": 16, "frames_per_phone_max": 150, "noise_seed": 4294967295,
    "pitch_std_octaves": 0.25, "phones": ["_", "^", "AA1"], "pronunciations": "v/p.bin",
    "g2p": "v/g.bin",
    "readers": [{"name": "r", )" +
         target + R"("model": "v/r.xml", "weights": "v/r.bin", "num_phones": 64,
      "inputs": {"phones": "p", "pitch_shift": "s", "energy_shift": "e"},
      "outputs": {"rows": "ro", "frames": "f"}}],
    "speakers": [{"name": "s", )" +
         target + R"("model": "v/s.xml", "weights": "v/s.bin",
      "inputs": {"rows": "r", "valid": "v", "noise": "n", "keep": "k"},
      "outputs": {"samples": "o"}}]}}})";
}

}  // namespace

TEST(a_voice_is_read) {
  const Manifest manifest = Manifest::parse(voice_text());
  CHECK(!manifest.ear.has_value());
  CHECK(manifest.voice.has_value());
  const Voice& voice = *manifest.voice;
  CHECK_EQ(voice.hop_samples, 160);
  CHECK_EQ(voice.frames_per_phone_max, 150);
  CHECK_EQ(voice.noise_seed, 0xFFFFFFFFu);
  CHECK_EQ(voice.pitch_std_octaves, 0.25f);
  CHECK_EQ(voice.phones.at(2), "AA1");
  CHECK_EQ(voice.pronunciations.path, "v/p.bin");
  CHECK(voice.g2p.has_value());
  const VoiceReaderTarget& reader = voice.readers.at(0);
  CHECK_EQ(reader.inputs.at(VoiceReaderTarget::kEnergyShift).name, "e");
  CHECK(reader.inputs.at(VoiceReaderTarget::kPhones).shape == (std::vector<int64_t>{1, 64}));
  CHECK(reader.outputs.at(VoiceReaderTarget::kRows).shape == (std::vector<int64_t>{1, 64, 192}));
  const VoiceSpeakerTarget& speaker = voice.speakers.at(0);
  CHECK(speaker.inputs.at(VoiceSpeakerTarget::kNoise).shape == (std::vector<int64_t>{1, 16, 321}));
  CHECK_EQ(speaker.inputs.at(VoiceSpeakerTarget::kKeep).name, "k");
  CHECK(speaker.outputs.at(VoiceSpeakerTarget::kSamples).shape == (std::vector<int64_t>{1, 2560}));
}

TEST(what_a_voice_may_lack_has_its_default) {
  std::string text = voice_text();
  for (const char* part : {R"("frames_per_phone_max": 150, )", R"("noise_seed": 4294967295,)",
                           R"("pitch_std_octaves": 0.25, )", R"("g2p": "v/g.bin",)"}) {
    const size_t at = text.find(part);
    CHECK(at != std::string::npos);
    text.erase(at, std::string(part).size());
  }
  const Voice voice = *Manifest::parse(text).voice;
  CHECK_EQ(voice.frames_per_phone_max, 200);
  CHECK_EQ(voice.noise_seed, 0u);
  CHECK_EQ(voice.pitch_std_octaves, 0.0f);
  CHECK(!voice.g2p.has_value());
}

TEST(every_wrong_entry_of_a_voice_is_refused_with_its_place) {
  const struct {
    const char *from, *to, *message;
  } cases[] = {
      {"fastspeech_streamed", "whispers", "roles.voice.type: \"whispers\" is not known"},
      {"\"hop_samples\": 160", "\"hop_samples\": 0", "roles.voice.hop_samples: 0 is outside"},
      {"\"chunk_frames\": 16", "\"chunk_frames\": 1.5", "is not a whole number"},
      {"\"delay_frames\": 20", "\"delay_frames\": -1", "roles.voice.delay_frames"},
      {"\"noise_seed\": 4294967295", "\"noise_seed\": 4294967296", "roles.voice.noise_seed"},
      {"\"^\"", "\"_\"", "roles.voice.phones[1]: stands there twice"},
      {"\"v/p.bin\",\n", "\"v/x.bin\",\n", "is not among the files"},
      {"\"num_phones\": 64", "\"num_phones\": 2",
       "roles.voice.readers[0].num_phones: 2 is outside"},
      {"\"phones\": \"p\", ", "", "roles.voice.readers[0].inputs: lacks \"phones\""},
      {"\"noise\": \"n\", ", "", "roles.voice.speakers[0].inputs: lacks \"noise\""},
      {"\"samples\": \"o\"", "", "roles.voice.speakers[0].outputs: lacks \"samples\""},
  };
  for (const auto& one : cases) {
    std::string text = voice_text();
    const size_t at = text.find(one.from);
    CHECK(at != std::string::npos);
    text.replace(at, std::string(one.from).size(), one.to);
    CHECK_THROWS(Manifest::parse(text), one.message);
  }
  std::string text = voice_text();
  const size_t begin = text.find("\"readers\": [") + 12, end = text.find("}],", begin) + 1;
  text.erase(begin, end - begin);
  CHECK_THROWS(Manifest::parse(text), "roles.voice.readers: is empty");
}

TEST(every_truncation_is_refused) {
  for (const std::string& text : {manifest_text(), eye_text(), voice_text()}) {
    for (size_t length = 0; length < text.size(); ++length) {
      CHECK_THROWS(Manifest::parse(text.substr(0, length)), "manifest.json");
    }
  }
}
