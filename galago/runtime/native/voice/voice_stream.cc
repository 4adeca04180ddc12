#include "voice/voice_stream.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/status.h"
#include "voice/vocoder_noise.h"

namespace galago {
namespace {

// Computed ahead of what is heard: a busy machine is not heard, a stop wastes little.
constexpr size_t kAheadMs = 1000;
constexpr size_t kMinBlocks = 3;  // one that is heard, one that waits, one that is filled
constexpr size_t kFadeMs = 5;
constexpr float kSilentDb = -96.0f;

size_t num_blocks(const Voice& voice) {
  const auto block_samples = static_cast<size_t>(voice.chunk_frames) * voice.hop_samples;
  const size_t ahead_samples = kAheadMs * static_cast<size_t>(voice.sample_rate_hz) / 1000;
  return std::max(kMinBlocks, (ahead_samples + block_samples - 1) / block_samples + 1);
}

float gain_of(const Prosody& prosody) {
  return prosody.volume_db <= kSilentDb ? 0.0f : std::pow(10.0f, prosody.volume_db / 20.0f);
}

}  // namespace

VoiceStream::VoiceStream(const OpenedVoice& opened, EventQueue* events, SessionMetrics* metrics)
    : RoleStream("voice", events),
      voice_(opened.voice),
      text_(opened.text),
      hop_samples_(static_cast<size_t>(voice_.hop_samples)),
      chunk_frames_(static_cast<size_t>(voice_.chunk_frames)),
      delay_frames_(static_cast<size_t>(voice_.delay_frames)),
      metrics_(metrics),
      playback_(num_blocks(voice_), chunk_frames_ * hop_samples_,
                kFadeMs * static_cast<size_t>(voice_.sample_rate_hz) / 1000),
      engine_(opened.engine),
      speaker_(engine_->open_stream()),
      regulator_(static_cast<size_t>(opened.readers.back().target.num_phones)) {
  for (const OpenedReader& reader : opened.readers) {
    readers_.push_back({static_cast<size_t>(reader.target.num_phones), reader.engine,
                        reader.engine->open_stream()});
  }
}

EventLimits VoiceStream::event_limits() {
  EventLimits limits;
  limits.num_words = 0;
  limits.num_labels = 1;  // the role that failed
  return limits;
}

void VoiceStream::describe(galago_session_info* info) const {
  info->speech_sample_rate_hz = voice_.sample_rate_hz;
}

size_t VoiceStream::num_bytes() const {
  size_t num_bytes =
      sizeof(*this) + playback_.num_bytes() + regulator_.num_bytes() + speaker_->num_bytes();
  for (const Reader& reader : readers_) num_bytes += reader.stream->num_bytes();
  return num_bytes;
}

// -- any thread ---------------------------------------------------------------------------------

uint64_t VoiceStream::speak(std::string_view utf8) {
  const int64_t asked_ns = monotonic_ns();
  if (has_failed()) {
    fail(GALAGO_E_INVALID_STATE, "speak: the voice has failed; reset the session");
  }
  SpeechScript script = text_->parse(utf8);
  auto utterance = std::make_unique<Utterance>();
  for (const Prosody& prosody : script.prosodies) {
    if (prosody.pitch_semitones != 0.0f && voice_.pitch_std_octaves == 0.0f) {
      fail(GALAGO_E_UNSUPPORTED, "speak: the pitch of this voice cannot be shifted");
    }
    utterance->gains.push_back(gain_of(prosody));
  }
  utterance->asked_ns = asked_ns;
  utterance->had_to_wait = is_speaking();
  utterance->segments = std::move(script.segments);
  utterance->prosodies = std::move(script.prosodies);
  for (const SpeechSegment& segment : utterance->segments) {
    utterance->num_phones += segment.phones.size();
  }
  return queue_.push(std::move(utterance));
}

// -- the playback thread ------------------------------------------------------------------------

size_t VoiceStream::read(float* samples, size_t capacity, bool* has_news) noexcept {
  *has_news = false;
  if (has_failed()) return 0;
  const SpeechPlayback::Taken taken = playback_.read(samples, capacity);
  if (taken.is_underrun) metrics_->count_speech_underrun();
  *has_news = taken.has_freed;
  return taken.num_samples;
}

// -- the stepping thread ------------------------------------------------------------------------

bool VoiceStream::is_ready() const {
  const uint64_t next = told_through_.load(std::memory_order_relaxed) + 1;
  if (next <= queue_.last_number() &&
      (next <= playback_.heard_through() || playback_.is_stopped(next))) {
    return true;
  }
  if (utterance_ == nullptr) return queue_.has_waiting();
  return rows_ == nullptr || playback_.has_room();
}

bool VoiceStream::advance(bool /*has_ended*/) {
  if (tell_end()) return true;
  if (utterance_ != nullptr && playback_.is_stopped(utterance_->number)) put_back_utterance();
  if (utterance_ == nullptr && !begin_utterance()) return false;
  if (rows_ == nullptr) return read_segment();
  if (!playback_.has_room()) return false;
  speak_chunk();
  return true;
}

bool VoiceStream::tell_end() {
  const uint64_t next = told_through_.load(std::memory_order_relaxed) + 1;
  if (next > queue_.last_number()) return false;
  if (next > playback_.heard_through() && !playback_.is_stopped(next)) return false;
  tell(GALAGO_EVENT_SPEAK_STOP, next);
  told_through_.store(next, std::memory_order_release);
  return true;
}

bool VoiceStream::begin_utterance() {
  utterance_ = queue_.take();
  while (utterance_ != nullptr && playback_.is_stopped(utterance_->number)) {
    queue_.put_back(std::move(utterance_));
    utterance_ = queue_.take();
  }
  if (utterance_ == nullptr) return false;
  has_sounded_ = false;
  segment_ = 0;
  rows_ = nullptr;
  return true;
}

void VoiceStream::put_back_utterance() {
  rows_ = nullptr;
  queue_.put_back(std::move(utterance_));
}

bool VoiceStream::read_segment() {
  const int64_t begin_ns = monotonic_ns();
  const std::vector<SpeechPhone>& phones = utterance_->segments[segment_].phones;
  // VoiceText has refused what no reader takes.
  const Reader& reader = *std::find_if(
      readers_.begin(), readers_.end(),
      [&phones](const Reader& candidate) { return phones.size() <= candidate.num_phones; });
  float* phone_rows = reader.stream->input(VoiceReaderTarget::kPhones);
  float* pitch_shifts = reader.stream->input(VoiceReaderTarget::kPitchShift);
  float* energy_shifts = reader.stream->input(VoiceReaderTarget::kEnergyShift);
  for (float* input : {phone_rows, pitch_shifts, energy_shifts}) {
    std::fill_n(input, reader.num_phones, 0.0f);
  }
  for (size_t i = 0; i < phones.size(); ++i) {
    phone_rows[i] = static_cast<float>(phones[i].row);
    const float semitones = utterance_->prosodies[phones[i].prosody].pitch_semitones;
    if (semitones != 0.0f) pitch_shifts[i] = semitones / 12.0f / voice_.pitch_std_octaves;
  }
  const int64_t engine_begin_ns = monotonic_ns();
  const char* failure = reader.stream->run();
  const int64_t engine_end_ns = monotonic_ns();
  if (failure != nullptr) {
    fail_voice(failure);
    return true;
  }

  if (!regulate(reader.stream->output(VoiceReaderTarget::kFrames))) {
    fail_voice("the reader's output is not finite");
    return true;
  }
  rows_ = reader.stream->output(VoiceReaderTarget::kRows);
  spoken_ = heard_ = {};
  num_chunks_ = 0;
  metrics_->count_speech(0, monotonic_ns() - begin_ns, engine_end_ns - engine_begin_ns);
  return true;
}

bool VoiceStream::regulate(const float* frames) {
  const std::vector<SpeechPhone>& phones = utterance_->segments[segment_].phones;
  const auto hop_parts = static_cast<uint64_t>(hop_samples_) * 1000;  // in thousandths of a sample
  regulator_.begin();
  for (size_t i = 0; i < phones.size(); ++i) {
    if (!std::isfinite(frames[i])) return false;
    PhoneDuration duration;
    duration.num_frames = frames[i];
    duration.rate = utterance_->prosodies[phones[i].prosody].rate;
    duration.is_mark = phones[i].is_mark;
    duration.max_frames = static_cast<uint32_t>(voice_.frames_per_phone_max);
    // Rounded up: a pause is at least as long as it was asked for.
    const uint64_t pause_parts =
        uint64_t{phones[i].pause_ms} * static_cast<uint64_t>(voice_.sample_rate_hz);
    duration.pause_frames = static_cast<uint32_t>((pause_parts + hop_parts - 1) / hop_parts);
    regulator_.add(count_frames(duration));
  }
  return true;
}

void VoiceStream::fill_rows() {
  const size_t width = static_cast<size_t>(voice_.row_width);
  const size_t begin_frame = num_chunks_ * chunk_frames_;
  const size_t num_rows = std::min(
      chunk_frames_, regulator_.num_frames() - std::min(begin_frame, regulator_.num_frames()));
  float* rows = speaker_->input(VoiceSpeakerTarget::kRows);
  float* valid = speaker_->input(VoiceSpeakerTarget::kValid);
  for (size_t i = 0; i < num_rows; ++i) {
    std::copy_n(rows_ + regulator_.next_phone(&spoken_) * width, width, rows + i * width);
  }
  std::fill(rows + num_rows * width, rows + chunk_frames_ * width, 0.0f);
  std::fill(valid, valid + num_rows, 1.0f);
  std::fill(valid + num_rows, valid + chunk_frames_, 0.0f);
  const auto num_bins = static_cast<size_t>(voice_.num_bins);
  fill_vocoder_noise(voice_.noise_seed, static_cast<uint32_t>(begin_frame * num_bins),
                     chunk_frames_ * num_bins, speaker_->input(VoiceSpeakerTarget::kNoise));
  *speaker_->input(VoiceSpeakerTarget::kKeep) = num_chunks_ == 0 ? 0.0f : 1.0f;
}

bool VoiceStream::take_samples(size_t begin_frame, size_t end_frame, SpeechPlayback::Block* block) {
  const std::vector<SpeechPhone>& phones = utterance_->segments[segment_].phones;
  // Frame f is put out a lag later than it is put in.
  const float* from = speaker_->output(VoiceSpeakerTarget::kSamples) +
                      (begin_frame + delay_frames_ - num_chunks_ * chunk_frames_) * hop_samples_;
  float* to = block->samples.data();
  block->num_samples = (end_frame - begin_frame) * hop_samples_;
  for (size_t frame = begin_frame; frame < end_frame; ++frame) {
    const float gain = utterance_->gains[phones[regulator_.next_phone(&heard_)].prosody];
    if (!has_sounded_ && frame == begin_frame) gain_ = gain;
    // From one frame's gain to the next without a step, which would click.
    const float slope = (gain - gain_) / static_cast<float>(hop_samples_);
    for (size_t i = 0; i < hop_samples_; ++i, ++from, ++to) {
      if (!std::isfinite(*from)) return false;
      const float sample = *from * (gain_ + slope * static_cast<float>(i + 1));
      *to = std::min(std::max(sample, -1.0f), 1.0f);
    }
    gain_ = gain;
  }
  return true;
}

void VoiceStream::speak_chunk() {
  const int64_t begin_ns = monotonic_ns();
  fill_rows();
  const int64_t engine_begin_ns = monotonic_ns();
  const char* failure = speaker_->run();
  const int64_t engine_end_ns = monotonic_ns();
  if (failure != nullptr) return fail_voice(failure);

  const size_t out_begin = num_chunks_ * chunk_frames_;  // with the lag
  const size_t out_end = out_begin + chunk_frames_;
  const size_t begin_frame = std::max(out_begin, delay_frames_) - delay_frames_;
  const size_t end_frame =
      std::min(std::max(out_end, delay_frames_) - delay_frames_, regulator_.num_frames());
  const bool is_segment_end = end_frame == regulator_.num_frames();
  if (begin_frame < end_frame) {
    SpeechPlayback::Block* block = playback_.writing();
    block->utterance = utterance_->number;
    block->is_last = is_segment_end && segment_ + 1 == utterance_->segments.size();
    if (!take_samples(begin_frame, end_frame, block)) {
      return fail_voice("the speaker's output is not finite");
    }
    playback_.publish();
    if (!has_sounded_) {
      has_sounded_ = true;
      if (!utterance_->had_to_wait) metrics_->set_ttfa_ns(monotonic_ns() - utterance_->asked_ns);
      tell(GALAGO_EVENT_SPEAK_START, utterance_->number);
    }
  }
  ++num_chunks_;
  if (is_segment_end) {
    rows_ = nullptr;
    if (++segment_ == utterance_->segments.size()) put_back_utterance();
  }
  metrics_->count_speech(begin_frame < end_frame ? (end_frame - begin_frame) * hop_samples_ : 0,
                         monotonic_ns() - begin_ns, engine_end_ns - engine_begin_ns);
}

void VoiceStream::tell(uint32_t type, uint64_t utterance) {
  galago_event* event = events()->begin(type);
  event->utterance = utterance;
  event->begin_ns = event->end_ns = event->emitted_ns = monotonic_ns();
  events()->publish();
}

void VoiceStream::fail_voice(const char* message) {
  fail_stream(GALAGO_E_BACKEND, message, monotonic_ns());
}

void VoiceStream::forget() {
  const uint64_t last = queue_.clear();
  utterance_.reset();
  rows_ = nullptr;
  playback_.stop_through(last);
  playback_.clear();
  told_through_.store(last, std::memory_order_release);
}

}  // namespace galago
