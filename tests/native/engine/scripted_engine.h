// An engine that puts out what a test wrote down, so that a session can be tested without a model.
//
// A script is one (phone, token) pair for each 40 ms of a stream; what comes after it is silence.
// It begins anew whenever the session says `keep` = 0. The ear is the smallest that can spell.
#ifndef GALAGO_TESTS_NATIVE_ENGINE_SCRIPTED_ENGINE_H_
#define GALAGO_TESTS_NATIVE_ENGINE_SCRIPTED_ENGINE_H_

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ear/ear.h"
#include "engine/engine.h"

namespace galago {

struct ScriptedToken {
  int phone = 0;  // 0: silence
  int token = 0;  // 0: blank
};

inline Ear scripted_ear() {
  Ear ear;
  ear.network.subsampling_factor = 4;
  ear.tokens = {"<blank>", " ", "a", "b", "c"};
  ear.phones = {"SIL", "AA", "B", "K"};
  ear.network.phone_log_priors.assign(4, std::log(0.25f));
  return ear;
}

inline EarTarget scripted_target(int chunk_tokens = 8, int lookahead_tokens = 0) {
  EarTarget target;
  target.name = "scripted";
  target.chunk_tokens = chunk_tokens;
  target.chunk_frames = 4 * chunk_tokens;
  target.left_context_tokens = 32;
  target.lookahead_tokens = lookahead_tokens;
  return target;
}

// A network that hears samples as they are, a token of them at once.
inline EarNetwork raw_network(int token_samples = 640) {
  EarNetwork network = scripted_ear().network;
  network.features.type = FeatureOptions::Type::kRawSamples;
  network.features.hop_samples = network.features.window_samples = token_samples;
  network.subsampling_factor = 1;
  return network;
}

inline EarTarget raw_target(int chunk_tokens = 8, int lookahead_tokens = 0) {
  EarTarget target = scripted_target(chunk_tokens, lookahead_tokens);
  target.chunk_frames = chunk_tokens;
  return target;
}

// "..aab_c" with one character a token: '.' silence, '_' speech that spells a space, a letter
// speech that spells it, '~' speech that spells nothing.
inline std::vector<ScriptedToken> script(const std::string& text) {
  std::vector<ScriptedToken> tokens;
  for (char c : text) {
    switch (c) {
      case 'a':
        tokens.push_back({1, 2});
        break;
      case 'b':
        tokens.push_back({2, 3});
        break;
      case 'c':
        tokens.push_back({3, 4});
        break;
      case '_':
        tokens.push_back({1, 1});
        break;
      case '~':
        tokens.push_back({1, 0});
        break;
      default:
        tokens.push_back({0, 0});
    }
  }
  return tokens;
}

class ScriptedEngine : public Engine {
 public:
  ScriptedEngine(const Ear& ear, const EarTarget& target, std::vector<ScriptedToken> tokens)
      : ear_(ear), target_(target), script(std::move(tokens)) {}

  std::unique_ptr<EngineStream> open_stream() override;
  const std::string& description() const override { return description_; }
  const std::string& precision() const override { return precision_; }

 private:
  friend class ScriptedStream;
  const Ear ear_;
  const EarTarget target_;
  const std::string description_ = "a script";
  const std::string precision_ = "f32";

 public:
  std::vector<ScriptedToken> script;
  bool loops = false;          // begin the script anew at its end
  int64_t fail_at_chunk = -1;  // counted from the opening of the stream
  int64_t nan_at_chunk = -1;
  bool records = false;         // keep what came in
  std::vector<float> keeps;     // of every run
  std::vector<float> features;  // of every run, one after the other
};

class ScriptedStream : public EngineStream {
 public:
  explicit ScriptedStream(ScriptedEngine* engine)
      : engine_(engine),
        num_phones_(engine->ear_.phones.size()),
        num_tokens_(engine->ear_.tokens.size()),
        num_rows_(static_cast<size_t>(engine->target_.chunk_tokens)),
        input_(static_cast<size_t>(engine->target_.chunk_frames *
                                   engine->ear_.network.features.values_per_frame())),
        phones_(num_rows_ * num_phones_),
        tokens_(num_rows_ * num_tokens_) {
    inputs_ = {input_.data(), &keep_value_};      // EarTarget::Input
    outputs_ = {phones_.data(), tokens_.data()};  // EarTarget::Output
  }

  const char* run() noexcept override {
    if (keep_value_ == 0.0f) row_ = -engine_->target_.lookahead_tokens;
    if (engine_->records) {
      engine_->keeps.push_back(keep_value_);
      engine_->features.insert(engine_->features.end(), input_.begin(), input_.end());
    }
    const int64_t chunk = num_runs_++;
    if (chunk == engine_->fail_at_chunk) return "the script says so";
    for (size_t i = 0; i < num_rows_; ++i, ++row_) {
      const auto length = static_cast<int64_t>(engine_->script.size());
      ScriptedToken now;
      if (row_ >= 0 && (row_ < length || (engine_->loops && length > 0))) {
        now = engine_->script[static_cast<size_t>(row_ % length)];
      }
      write_row(phones_.data() + i * num_phones_, num_phones_, now.phone);
      write_row(tokens_.data() + i * num_tokens_, num_tokens_, now.token);
    }
    if (chunk == engine_->nan_at_chunk) tokens_[3] = std::numeric_limits<float>::quiet_NaN();
    return nullptr;
  }

  size_t num_bytes() const override {
    return (input_.size() + phones_.size() + tokens_.size() + 1) * sizeof(float);
  }

 private:
  static void write_row(float* row, size_t size, int winner) {
    const float rest = 0.02f / static_cast<float>(size - 1);
    for (size_t i = 0; i < size; ++i) {
      row[i] = std::log(static_cast<int>(i) == winner ? 0.98f : rest);
    }
  }

  ScriptedEngine* engine_;
  size_t num_phones_;
  size_t num_tokens_;
  size_t num_rows_;
  std::vector<float> input_;
  std::vector<float> phones_;
  std::vector<float> tokens_;
  float keep_value_ = 1.0f;
  int64_t row_ = 0;
  int64_t num_runs_ = 0;
};

inline std::unique_ptr<EngineStream> ScriptedEngine::open_stream() {
  return std::make_unique<ScriptedStream>(this);
}

}  // namespace galago

#endif  // GALAGO_TESTS_NATIVE_ENGINE_SCRIPTED_ENGINE_H_
