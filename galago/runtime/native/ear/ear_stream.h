// The ear of a session: samples in on the capture thread, steps, events out.
//
//   push ─> ring ─> window ─> front end ─> engine ─> listener ─> events
//   (capture)       └───────────────── advance ─────────────────┘
//                      └─────> front end ──────────────┘             of a second network's own
//
// A window is the chunk's samples and the window_samples - hop_samples that its last frames reach
// into the next chunk; those are kept for it:
//
//   chunk c      [---- chunk_samples ----|-context-]
//   chunk c + 1                          [---- chunk_samples ----|-context-]
#ifndef GALAGO_NATIVE_EAR_EAR_STREAM_H_
#define GALAGO_NATIVE_EAR_EAR_STREAM_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ear/capture_clock.h"
#include "ear/ear.h"
#include "ear/front_end.h"
#include "ear/listener.h"
#include "ear/ring.h"
#include "engine/engine.h"
#include "role/metrics.h"
#include "role/role_stream.h"

namespace galago {

// What of an opened bundle an ear needs.
struct OpenedEar {
  Ear ear;
  EarTarget target;
  std::shared_ptr<Engine> engine;
  std::shared_ptr<const WordModel> word_model;  // may be null
  std::optional<OpenedSecondPass> second_pass;
};

class EarStream : public RoleStream {
 public:
  // `events` and `metrics` outlive the stream. The options are checked already. Throws Error.
  EarStream(const OpenedEar& opened, const galago_session_options& options, EventQueue* events,
            SessionMetrics* metrics);

  // What the events of such a stream can hold.
  static EventLimits event_limits(const OpenedEar& opened, const galago_session_options& options);

  // Fills in what is the ear's.
  void describe(galago_session_info* info) const;

  // The capture thread; real-time safe; the status's message is set. *step_is_ready: as far as this
  // thread knows, a step would now do something.
  galago_status push(const float* samples, size_t num_samples, int64_t capture_ns,
                     bool* step_is_ready) noexcept;

  bool is_ready() const override;

  // What to listen for. The objects are made on a thread that may block, without the steps' lock;
  // setting one is quick, and hands back the one before it.
  Listener& listener() { return listener_; }

  size_t num_bytes() const;

 private:
  bool advance(bool has_ended) override;
  bool advance_stream(bool has_ended);
  void forget() override;
  // Outside of a chunk's step: an utterance may end, and its second pass takes time.
  void finish_listening();
  void count_listening(int64_t begin_ns);
  void begin_stream(const CaptureMark& mark);
  void run_chunk();
  bool run_padded_chunk();  // false: the stream's tail is decoded already
  int64_t now_ns() const {  // the capture time of the next chunk
    return clock_.capture_ns(num_chunks_ * static_cast<int64_t>(chunk_samples_));
  }
  // The samples until the utterance at hand ends by its silence; 0: nothing to wait for.
  size_t samples_until_silent_end() const;
  bool is_silent_so_far() const;
  bool end_in_silence();  // false: in the samples that wait somebody may speak
  // Of a chunk, as the second pass hears it.
  int num_second_frames() const {
    return static_cast<int>(chunk_samples_) / second_features_.hop_samples;
  }
  size_t missing_samples() const { return window_.size() - num_filled_; }
  // Until a step can do something.
  size_t needed_samples() const;

  const EarTarget target_;
  const std::shared_ptr<Engine> engine_;
  const int sample_rate_hz_;
  const FeatureOptions second_features_;  // the first ones, where there is one pass
  const size_t chunk_samples_;
  const size_t token_samples_;
  const size_t num_phones_;
  const size_t num_tokens_;
  const int64_t chunk_ns_;
  const int64_t min_silent_tokens_;  // that an end in silence needs
  SessionMetrics* const metrics_;

  // Between the threads.
  AudioRing ring_;
  std::atomic<size_t> num_missing_samples_;  // until a step is ready; a hint for the capture thread

  CaptureTracker tracker_;  // the capture thread's

  // The stepping thread's.
  std::unique_ptr<EngineStream> stream_;
  const std::unique_ptr<FrontEnd> front_end_;
  StreamClock clock_;
  Listener listener_;
  // The second pass's, where it does not hear the frames of the first one.
  const std::unique_ptr<FrontEnd> second_front_end_;
  std::vector<float> second_frames_;
  std::vector<float> window_;
  size_t num_filled_ = 0;
  bool in_stream_ = false;
  bool is_finished_ = false;     // the input has ended, and its tail is decoded
  uint64_t stream_samples_ = 0;  // real ones that went into the window
  int64_t num_chunks_ = 0;       // of this stream
  struct TokenLevel {
    float mean_power;
    float peak_power;  // of its loudest 10 ms
  };
  std::vector<TokenLevel> token_levels_;  // of the last chunk, and of a lookahead before it
  int64_t refused_deadline_sample_ =
      -1;  // where it was not silent when the utterance might have ended
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_EAR_STREAM_H_
