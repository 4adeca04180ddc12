// A voice that a test can reason about: each phone sounds as its row / 100, each for two frames,
// and comes out of the speaker three frames after it went in.
#ifndef GALAGO_TESTS_NATIVE_VOICE_SCRIPTED_VOICE_H_
#define GALAGO_TESTS_NATIVE_VOICE_SCRIPTED_VOICE_H_

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pronunciation/tiny_voice.h"
#include "voice/voice_stream.h"

namespace galago {

// What both engines of a voice are told by a test, and what they saw.
struct VoiceScript {
  float frames = 2.0f;        // of each phone and mark
  int64_t fail_at_read = -1;  // counted from the opening of the session
  int64_t fail_at_chunk = -1;
  int64_t nan_at_read = -1;
  int64_t nan_at_chunk = -1;

  int64_t num_reads = 0;
  int64_t num_chunks = 0;
  std::vector<size_t> reader_sizes;             // of the readers that ran
  std::vector<float> phones, pitch_shifts;      // of the last reading
  std::vector<float> valid, noise, keep, rows;  // of every chunk, one after the other
  bool records = true;
};

class ScriptedVoiceEngine : public Engine {
 public:
  // num_phones 0: the speaker.
  ScriptedVoiceEngine(const Voice& voice, size_t num_phones, VoiceScript* script)
      : voice_(voice), num_phones_(num_phones), script_(script) {}

  std::unique_ptr<EngineStream> open_stream() override;
  const std::string& description() const override { return description_; }
  const std::string& precision() const override { return precision_; }

 private:
  friend class ScriptedReaderStream;
  friend class ScriptedSpeakerStream;
  const Voice voice_;
  const size_t num_phones_;
  VoiceScript* const script_;
  const std::string description_ = "a script";
  const std::string precision_ = "f32";
};

class ScriptedReaderStream : public EngineStream {
 public:
  explicit ScriptedReaderStream(const ScriptedVoiceEngine& engine)
      : script_(engine.script_),
        size_(engine.num_phones_),
        width_(static_cast<size_t>(engine.voice_.row_width)),
        buffers_{std::vector<float>(size_), std::vector<float>(size_), std::vector<float>(size_),
                 std::vector<float>(size_ * width_), std::vector<float>(size_)} {
    inputs_ = {buffers_[0].data(), buffers_[1].data(), buffers_[2].data()};
    outputs_ = {buffers_[3].data(), buffers_[4].data()};
  }

  const char* run() noexcept override {
    const int64_t number = script_->num_reads++;
    if (script_->records) {
      script_->reader_sizes.push_back(size_);
      script_->phones = buffers_[0];
      script_->pitch_shifts = buffers_[1];
    }
    if (number == script_->fail_at_read) return "the reader's script says so";
    for (size_t i = 0; i < size_; ++i) {
      for (size_t c = 0; c < width_; ++c) {
        buffers_[3][i * width_ + c] = c == 0 ? buffers_[0][i] / 100.0f : 1.0f;
      }
      buffers_[4][i] = script_->frames;
    }
    if (number == script_->nan_at_read) buffers_[4][1] = std::numeric_limits<float>::quiet_NaN();
    return nullptr;
  }

  size_t num_bytes() const override { return size_ * (4 + width_) * sizeof(float); }

 private:
  VoiceScript* const script_;
  const size_t size_;
  const size_t width_;
  std::vector<float> buffers_[5];
};

class ScriptedSpeakerStream : public EngineStream {
 public:
  explicit ScriptedSpeakerStream(const ScriptedVoiceEngine& engine)
      : script_(engine.script_),
        width_(static_cast<size_t>(engine.voice_.row_width)),
        hop_(static_cast<size_t>(engine.voice_.hop_samples)),
        chunk_(static_cast<size_t>(engine.voice_.chunk_frames)),
        rows_(chunk_ * width_),
        valid_(chunk_),
        noise_(chunk_ * static_cast<size_t>(engine.voice_.num_bins)),
        samples_(chunk_ * hop_),
        late_(static_cast<size_t>(engine.voice_.delay_frames) + chunk_) {
    inputs_ = {rows_.data(), valid_.data(), noise_.data(), &keep_};
    outputs_ = {samples_.data()};
  }

  const char* run() noexcept override {
    const int64_t number = script_->num_chunks++;
    if (script_->records) {
      const auto append = [](std::vector<float>* to, const std::vector<float>& from) {
        to->insert(to->end(), from.begin(), from.end());
      };
      append(&script_->rows, rows_);
      append(&script_->valid, valid_);
      append(&script_->noise, noise_);
      script_->keep.push_back(keep_);
    }
    if (number == script_->fail_at_chunk) return "the speaker's script says so";
    if (keep_ == 0.0f) std::fill(late_.begin(), late_.end(), -1.0f);
    const size_t delay = late_.size() - chunk_;
    for (size_t i = 0; i < chunk_; ++i) late_[delay + i] = rows_[i * width_];
    for (size_t i = 0; i < chunk_ * hop_; ++i) samples_[i] = late_[i / hop_];
    std::copy(late_.begin() + static_cast<ptrdiff_t>(chunk_), late_.end(), late_.begin());
    if (number == script_->nan_at_chunk) {
      samples_.back() = std::numeric_limits<float>::quiet_NaN();
    }
    return nullptr;
  }

  size_t num_bytes() const override {
    return (rows_.size() + valid_.size() + noise_.size() + samples_.size() + 1) * sizeof(float);
  }

 private:
  VoiceScript* const script_;
  const size_t width_;
  const size_t hop_;
  const size_t chunk_;
  std::vector<float> rows_, valid_, noise_, samples_, late_;
  float keep_ = 1.0f;
};

inline std::unique_ptr<EngineStream> ScriptedVoiceEngine::open_stream() {
  if (num_phones_ == 0) return std::make_unique<ScriptedSpeakerStream>(*this);
  return std::make_unique<ScriptedReaderStream>(*this);
}

// 1 kHz, frames of 10 ms, chunks of 4 of them, 3 late; readers of 16 and 64 phones.
struct ScriptedVoice {
  static constexpr size_t kHop = 10, kChunk = 4, kDelay = 3;

  explicit ScriptedVoice(float pitch_std_octaves = 0.5f) {
    Voice& voice = opened.voice;
    voice.sample_rate_hz = 1000;
    voice.hop_samples = kHop;
    voice.row_width = 2;
    voice.num_bins = 3;
    voice.delay_frames = kDelay;
    voice.chunk_frames = kChunk;
    voice.frames_per_phone_max = 50;
    voice.noise_seed = 5;
    voice.pitch_std_octaves = pitch_std_octaves;
    voice.phones = tiny_voice::phones();
    const std::string dictionary = tiny_voice::pronunciations();
    FileBytes bytes(dictionary.size());
    std::memcpy(bytes.data(), dictionary.data(), dictionary.size());
    opened.text =
        std::make_shared<const VoiceText>(voice.phones, 64, std::move(bytes), std::nullopt);
    for (int num_phones : {16, 64}) {
      OpenedReader reader;
      reader.target.num_phones = num_phones;
      reader.engine =
          std::make_shared<ScriptedVoiceEngine>(voice, static_cast<size_t>(num_phones), &script);
      opened.readers.push_back(std::move(reader));
    }
    opened.engine = std::make_shared<ScriptedVoiceEngine>(voice, 0, &script);
  }
  ScriptedVoice(const ScriptedVoice&) = delete;
  ScriptedVoice& operator=(const ScriptedVoice&) = delete;

  // What a sentence of these phones and marks sounds like, `frames` of each, two by default.
  std::vector<float> sound(const std::string& names, std::vector<size_t> frames = {}) const {
    std::vector<float> samples;
    std::string name;
    size_t index = 0;
    for (size_t at = 0; at <= names.size(); ++at) {
      if (at < names.size() && names[at] != ' ') {
        name += names[at];
        continue;
      }
      if (name == "|") name = " ";
      const auto& phones = opened.voice.phones;
      const auto row = std::find(phones.begin(), phones.end(), name) - phones.begin();
      const size_t count = index < frames.size() ? frames[index] : 2;
      samples.insert(samples.end(), count * kHop, static_cast<float>(row) / 100.0f);
      name.clear();
      ++index;
    }
    return samples;
  }

  VoiceScript script;
  OpenedVoice opened;
};

}  // namespace galago

#endif  // GALAGO_TESTS_NATIVE_VOICE_SCRIPTED_VOICE_H_
