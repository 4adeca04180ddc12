// What a bundle says of its ear: its networks, and all settings of what is heard by them.
#ifndef GALAGO_NATIVE_EAR_EAR_H_
#define GALAGO_NATIVE_EAR_EAR_H_

#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "decoding/acceptance.h"
#include "ear/front_end.h"
#include "engine/target.h"

namespace galago {

// The ear's: states are variables of the graph.
struct EarTarget : Target {
  enum Input { kFeatures, kKeep, kNumInputs };  // [chunk_frames][...], [1]
  // [chunk_tokens][...], and of a network with a decoder [chunk_rows][row_width].
  enum Output { kPhoneLogProbs, kTokenLogProbs, kRows };
  int chunk_tokens = 0;
  int chunk_frames = 0;
  int left_context_tokens = 0;
  int lookahead_tokens = 0;
  int chunk_rows = 0;  // 0: no kRows
  int row_width = 0;
};

// A streaming network with a phone head and a token head.
struct EarNetwork {
  FeatureOptions features;
  int subsampling_factor = 0;           // frames a token
  std::vector<float> phone_log_priors;  // [num phones]
  std::vector<EarTarget> targets;
  std::optional<FileEntry> decoder;  // that writes what the rows of an utterance say

  int token_samples() const { return subsampling_factor * features.hop_samples; }
};

// The role "ear": a network, perhaps another for what is final, and what is heard by them.
struct Ear {
  EarNetwork network;
  std::optional<EarNetwork> second_network;  // of the second pass; its tokens last as long
  std::vector<std::string> tokens;           // [0] is the CTC blank
  std::vector<std::string> phones;           // [0] is silence

  std::string decoding_method = "greedy";  // or "beam", or "words" if there is a word_model
  int beam_width = 8;
  std::optional<FileEntry> word_model;
  int word_beam_width = 96;
  int final_word_beam_width = 0;  // of what is final; 0: word_beam_width
  float word_beam_nats = 14.0f;
  float language_weight = 1.0f;
  float word_bonus = 0.0f;
  int num_hypotheses = 50;        // of what is final, that character_weight chooses among
  float character_weight = 0.0f;  // 0: the likeliest words of the phones are the answer
  std::optional<float> final_language_weight;  // for this choice; none: language_weight
  float hotword_boost = 2.0f;                  // nats a token
  // Without a second_network: of the target that finals come from. 0: of the opened one.
  int second_pass_chunk_tokens = 0;

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
  // The second pass's part in the mean log-probabilities that a grammar hears; the rest is the
  // first's.
  float grammar_second_pass_share = 1.0f;

  int sample_rate_hz() const { return network.features.sample_rate_hz; }
  int token_samples() const { return network.token_samples(); }
  int token_ms() const { return 1000 * token_samples() / sample_rate_hz(); }
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_EAR_H_
