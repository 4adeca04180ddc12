// The voice of a session: texts in on any thread, steps, samples out on the playback thread.
//
//   speak ─> text ─> queue ─> reader ─> length regulator ─> speaker ─> playback ─> read
//   (any thread)     └──────────────────── advance ─────────────────┘            (playback)
//
// A step runs one graph: the reader once for a sentence, then the speaker for each chunk of frames.
// The speaker's samples lag by delay_frames; the first sound leaves as soon as a chunk reaches
// behind the lag, however long the sentence:
//
//   frames in      0 1 2 3 | 4 5 6 7 | 8 9 . . | . . . .      chunks of 4, delay_frames 3
//   samples out            0 | 1 2 3 4 | 5 6 7 8 | 9
//
// While the playback has no room, a step does nothing.
#ifndef GALAGO_NATIVE_VOICE_VOICE_STREAM_H_
#define GALAGO_NATIVE_VOICE_VOICE_STREAM_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "role/metrics.h"
#include "role/role_stream.h"
#include "voice/length_regulator.h"
#include "voice/speech_playback.h"
#include "voice/speech_queue.h"
#include "voice/voice.h"
#include "voice/voice_text.h"

namespace galago {

struct OpenedReader {
  VoiceReaderTarget target;
  std::shared_ptr<Engine> engine;
};

// What of an opened bundle a voice needs.
struct OpenedVoice {
  Voice voice;
  std::shared_ptr<const VoiceText> text;
  std::vector<OpenedReader> readers;  // by num_phones, the smallest first
  VoiceSpeakerTarget target;
  std::shared_ptr<Engine> engine;  // the speaker's
};

class VoiceStream : public RoleStream {
 public:
  // `events` and `metrics` outlive the stream. Throws Error.
  VoiceStream(const OpenedVoice& opened, EventQueue* events, SessionMetrics* metrics);

  // What the events of such a stream can hold.
  static EventLimits event_limits();

  // Fills in what is the voice's.
  void describe(galago_session_info* info) const;

  // Any thread. The number of the utterance, which its events carry. Throws Error.
  uint64_t speak(std::string_view utf8);
  // Any thread: what was asked for until now is not heard any more.
  void stop() noexcept { playback_.stop_through(queue_.last_number()); }
  // Any thread: the end of some utterance is still to be told.
  bool is_speaking() const {
    return !has_failed() && told_through_.load(std::memory_order_acquire) < queue_.last_number();
  }

  // The playback thread; real-time safe. How many samples; *has_news: a step may now do something.
  size_t read(float* samples, size_t capacity, bool* has_news) noexcept;

  bool is_ready() const override;

  size_t num_bytes() const;

 private:
  struct Reader {
    size_t num_phones;
    std::shared_ptr<Engine> engine;
    std::unique_ptr<EngineStream> stream;
  };

  bool advance(bool has_ended) override;
  void forget() override;
  bool tell_end();  // of the oldest utterance that has come to it
  bool begin_utterance();
  void put_back_utterance();
  bool read_segment();
  // How long each phone of the segment lasts, of the reader's frames; false: one is not finite.
  bool regulate(const float* frames);
  void speak_chunk();
  // The chunk's rows into the speaker's input.
  void fill_rows();
  // The chunk's samples that belong to frames begin to end, and their gain, into the block.
  bool take_samples(size_t begin_frame, size_t end_frame, SpeechPlayback::Block* block);
  void tell(uint32_t type, uint64_t utterance);
  void fail_voice(const char* message);

  const Voice voice_;
  const std::shared_ptr<const VoiceText> text_;
  const size_t hop_samples_;
  const size_t chunk_frames_;
  const size_t delay_frames_;
  SessionMetrics* const metrics_;

  // Between the threads.
  SpeechQueue queue_;
  SpeechPlayback playback_;
  std::atomic<uint64_t> told_through_{0};  // the utterance whose SPEAK_STOP was told last

  // The stepping thread's.
  std::vector<Reader> readers_;
  const std::shared_ptr<Engine> engine_;
  std::unique_ptr<EngineStream> speaker_;
  std::unique_ptr<Utterance> utterance_;  // NULL: none is at hand
  bool has_sounded_ = false;              // a sample of it can be read
  size_t segment_ = 0;                    // of the utterance
  // Of the segment:
  const float* rows_ = nullptr;  // the reader's output; NULL: it is not read yet
  LengthRegulator regulator_;
  LengthRegulator::Cursor spoken_;  // the next frame into the speaker
  LengthRegulator::Cursor heard_;   // the next frame out of it
  size_t num_chunks_ = 0;
  float gain_ = 1.0f;  // of the frame before
};

}  // namespace galago

#endif  // GALAGO_NATIVE_VOICE_VOICE_STREAM_H_
