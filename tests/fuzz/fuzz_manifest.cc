// manifest.json: whatever the bytes, an Error or a manifest; JSON that is read is read again alike.
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"
#include "bundle/manifest.h"
#include "seeds.h"

std::vector<std::string> fuzz_seeds() {
  const std::string hash(64, 'a');
  return {
      R"({"a": [1, -2.5e3, true, false, null], "b": {"c": "x\u00e9\ud83d\ude00\n"}})",
      R"({"schema_version": 1, "name": "n", "version": "1", "files": {"m": {"sha256": ")" + hash +
          R"(", "size_bytes": 10}}, "roles": {"ear": {"type": "streaming_ctc", "features": {
          "type": "kaldi_log_mel", "sample_rate_hz": 16000, "window_samples": 400,
          "hop_samples": 160, "fft_size": 512, "num_mels": 80, "low_hz": 20, "high_hz": 8000,
          "preemphasis": 0.97, "log_floor": 1e-7}, "subsampling_factor": 4,
          "tokens": ["<blank>", " ", "a"], "phones": ["SIL", "AA"],
          "phone_log_priors": [-0.7, -0.7], "targets": [{"name": "t", "engine": "openvino",
          "dtype": "int8", "model": "m", "weights": "m", "inference_precision": "f32",
          "stateful": true, "chunk_tokens": 8, "chunk_frames": 32, "left_context_tokens": 32,
          "lookahead_tokens": 2, "inputs": {"features": "f", "keep": "k"},
          "outputs": {"phone_log_probs": "p", "token_log_probs": "t"}}]}}})",
      R"({"schema_version": 1, "name": "n", "version": "1", "files": {"m": {"sha256": ")" + hash +
          R"(", "size_bytes": 10}}, "roles": {"ear": {"type": "streaming_ctc", "features": {
          "type": "raw_samples", "sample_rate_hz": 16000, "hop_samples": 320},
          "subsampling_factor": 2, "tokens": ["<blank>", "a"], "phones": ["SIL", "AA"],
          "phone_log_priors": [-0.7, -0.7], "targets": [{"name": "t", "engine": "openvino",
          "dtype": "int8", "model": "m", "weights": "m", "inference_precision": "f32",
          "stateful": true, "chunk_tokens": 4, "chunk_frames": 8, "left_context_tokens": 0,
          "lookahead_tokens": 0, "inputs": {"features": "f", "keep": "k"},
          "outputs": {"phone_log_probs": "p", "token_log_probs": "t"}}],
          "second_pass": {"features": {"type": "raw_samples", "sample_rate_hz": 16000,
          "hop_samples": 640}, "subsampling_factor": 1, "phone_log_priors": [-0.7, -0.7],
          "targets": [{"name": "s", "engine": "openvino", "dtype": "int8", "model": "m",
          "weights": "m", "inference_precision": "f32", "stateful": true, "chunk_tokens": 3,
          "chunk_frames": 3, "left_context_tokens": 0, "lookahead_tokens": 0,
          "inputs": {"features": "f", "keep": "k"},
          "outputs": {"phone_log_probs": "p", "token_log_probs": "t"}}]}}}})",
      R"({"schema_version": 1, "name": "n", "version": "1", "files": {"m": {"sha256": ")" + hash +
          R"(", "size_bytes": 10}}, "roles": {"eye": {"type": "image_labels", "image": {
          "width": 128, "height": 96, "mean": [0.4, 0.5, 0.6], "std": [0.1, 0.2, 0.3],
          "fit": "cover"}, "labels": [{"name": "a"}, {"name": "b"}], "temperature": 1.5,
          "accept_probability": 0.25, "smoothing_half_life_ms": 400, "targets": [{"name": "t",
          "engine": "openvino", "dtype": "int8", "model": "m", "weights": "m",
          "inference_precision": "f32", "inputs": {"image": "i"},
          "outputs": {"logits": "l"}}]}}})"};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const std::string once = galago::Json::parse(text, "fuzz").to_text();
    if (galago::Json::parse(once, "fuzz").to_text() != once) std::abort();
  } catch (const galago::Error&) {
  }
  try {
    galago::Manifest::parse(text);
  } catch (const galago::Error&) {
  }
  return 0;
}
