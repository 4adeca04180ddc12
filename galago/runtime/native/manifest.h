// manifest.json of a bundle, as structures: read once, checked fully, then trusted.
#ifndef GALAGO_NATIVE_MANIFEST_H_
#define GALAGO_NATIVE_MANIFEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acceptance.h"
#include "file.h"
#include "front_end.h"
#include "image_scaler.h"
#include "json.h"
#include "label_smoother.h"

namespace galago {

// An input or output of a graph: float32, of a fixed shape.
struct TensorSpec {
  std::string key;   // how manifest.json calls it: "inputs.features"
  std::string name;  // how the graph does
  std::vector<int64_t> shape;
};

// One compiled form of a role's network. The order of inputs and outputs is the role's.
struct Target {
  std::string name;    // "openvino-int8-chunk8"
  std::string engine;  // "openvino"
  std::string dtype;   // of the weights: "int8"
  FileEntry model;
  FileEntry weights;
  std::string inference_precision;  // "f32" or "bf16"
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
};

// The ear's: states are variables of the graph.
struct EarTarget : Target {
  enum Input { kFeatures, kKeep, kNumInputs };                  // [chunk_frames][...], [1]
  enum Output { kPhoneLogProbs, kTokenLogProbs, kNumOutputs };  // [chunk_tokens][...]
  int chunk_tokens = 0;
  int chunk_frames = 0;
  int left_context_tokens = 0;
  int lookahead_tokens = 0;
};

// The role "ear": a streaming network with a phone head and a token head, and what is heard by it.
struct Ear {
  FeatureOptions features;
  int subsampling_factor = 0;           // frames a token
  std::vector<std::string> tokens;      // [0] is the CTC blank
  std::vector<std::string> phones;      // [0] is silence
  std::vector<float> phone_log_priors;  // [num phones]
  std::vector<EarTarget> targets;

  std::string decoding_method = "greedy";  // or "beam", or "words" if there is a word_model
  int beam_width = 8;
  std::optional<FileEntry> word_model;
  int word_beam_width = 96;
  int final_word_beam_width = 0;  // of what is final; 0: word_beam_width
  float word_beam_nats = 14.0f;
  float language_weight = 1.0f;
  float word_bonus = 0.0f;
  int num_hypotheses = 50;           // of what is final, that character_weight chooses among
  float character_weight = 0.0f;     // 0: the likeliest words of the phones are the answer
  float hotword_boost = 2.0f;        // nats a token
  int second_pass_chunk_tokens = 0;  // of the target that finals come from; 0: of the opened one

  float voice_start_probability = 0.6f;
  float voice_stop_probability = 0.35f;
  int voice_start_ms = 80;
  int voice_stop_ms = 200;
  int voice_padding_ms = 200;

  int endpoint_silence_ms = 600;
  int max_utterance_ms = 20000;

  float prior_scale = 0.3f;
  float accept_mean = -1.0f;
  float accept_worst_word = -2.5f;
  std::optional<Acceptance> acceptance;  // instead of accept_mean and accept_worst_word
  float phrase_threshold = -1.0f;

  int token_samples() const { return subsampling_factor * features.hop_samples; }
  int token_ms() const { return 1000 * token_samples() / features.sample_rate_hz; }
};

struct EyeTarget : Target {
  enum Input { kImage, kNumInputs };     // [3][height][width]
  enum Output { kLogits, kNumOutputs };  // [num labels]
};

// The role "eye": a network that tells what is in an image.
struct Eye {
  ImageSpec image;
  std::vector<std::string> labels;
  LabelOptions scores;
  std::vector<EyeTarget> targets;
};

// Reads a sentence.
struct VoiceReaderTarget : Target {
  enum Input { kPhones, kPitchShift, kEnergyShift, kNumInputs };  // [num_phones] each
  enum Output { kRows, kFrames, kNumOutputs };  // [num_phones][row_width], [num_phones]
  int num_phones = 0;
};

// Speaks a chunk of frames; states are variables of the graph.
struct VoiceSpeakerTarget : Target {
  // [chunk_frames][row_width], [chunk_frames], [chunk_frames][num_bins], [1]
  enum Input { kRows, kValid, kNoise, kKeep, kNumInputs };
  enum Output { kSamples, kNumOutputs };  // [chunk_frames * hop_samples]
};

// The role "voice": a network that reads sentences of phones, and one that speaks them.
struct Voice {
  int sample_rate_hz = 0;
  int hop_samples = 0;  // a frame
  int row_width = 0;
  int num_bins = 0;      // of the noise for a frame
  int delay_frames = 0;  // that the samples lag by
  int chunk_frames = 0;
  int frames_per_phone_max = 200;
  uint32_t noise_seed = 0;
  float pitch_std_octaves = 0.0f;   // one unit of pitch_shift; 0: it cannot be shifted
  std::vector<std::string> phones;  // [0] is padding
  FileEntry pronunciations;
  std::optional<FileEntry> g2p;
  std::vector<VoiceReaderTarget> readers;
  std::vector<VoiceSpeakerTarget> speakers;
};

struct Manifest {
  static constexpr int kSchemaVersion = 1;

  // Throws Error: GALAGO_E_CORRUPT says which entry is wrong and how,
  // GALAGO_E_UNSUPPORTED that the schema is a newer one.
  static Manifest parse(std::string_view text);

  std::string name;
  std::string version;
  std::vector<FileEntry> files;
  std::optional<Ear> ear;
  std::optional<Eye> eye;
  std::optional<Voice> voice;
  Json root;  // everything, for galago_bundle_metadata
};

}  // namespace galago

#endif  // GALAGO_NATIVE_MANIFEST_H_
