// One stream: audio in on the capture thread, steps on the control thread or a worker, events out.
//
//   push_audio ─> ring ─> window ─> log-mel ─> engine ─> listener ─> events ─> next_event
//   (capture)             └──────────── step ───────────────────┘              (control)
//
// A window is the chunk's samples and the window_samples - hop_samples that its last frames reach
// into the next chunk; those are kept for it:
//
//   chunk c      [---- chunk_samples ----|-context-]
//   chunk c + 1                          [---- chunk_samples ----|-context-]
#ifndef GALAGO_NATIVE_SESSION_H_
#define GALAGO_NATIVE_SESSION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "capture_clock.h"
#include "engine.h"
#include "event_queue.h"
#include "fbank.h"
#include "listener.h"
#include "manifest.h"
#include "metrics.h"
#include "ring.h"
#include "waker.h"

namespace galago {

class Session {
 public:
  // Throws Error. The engine is kept alive; of the rest copies are made.
  Session(std::shared_ptr<Engine> engine, const Ear& ear, const Target& target,
          const galago_session_options& options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  galago_session_info info() const;
  galago_metrics metrics() const { return metrics_.get(); }

  // The capture thread; real-time safe; the status's message is set.
  galago_status push_audio(const float* samples, size_t num_samples, int64_t capture_ns) noexcept;
  galago_status end_input() noexcept;

  // The control thread; those that answer nothing throw Error.
  galago_status step();
  galago_status next_event(galago_event* event);
  galago_status wait(int32_t timeout_ms);
  void set_wake(galago_wake_fn wake, void* user_data);
  void reset();
  void set_grammar(const void* bytes, size_t num_bytes);
  void set_phrases(const void* bytes, size_t num_bytes);
  void set_hotwords(const std::vector<Hotword>& hotwords);

 private:
  // Under step_mutex_.
  bool advance();  // false: nothing to do yet
  void begin_stream(const CaptureMark& mark);
  void run_chunk();
  bool run_padded_chunk();  // false: the stream's tail is decoded already
  // The samples until the utterance at hand ends by its silence; 0: nothing to wait for.
  size_t samples_until_silent_end() const;
  bool end_in_silence();  // false: the samples that wait are not silent
  void fail_stream(galago_status status, const char* message);
  size_t missing_samples() const { return window_.size() - num_filled_; }
  // Until a step can do something.
  size_t needed_samples() const;

  bool step_is_ready() const;
  void work();

  const std::shared_ptr<Engine> engine_;
  const Target target_;
  const uint32_t flags_;
  const int sample_rate_hz_;
  const size_t chunk_samples_;
  const size_t token_samples_;
  const size_t num_phones_;
  const size_t num_tokens_;
  const int64_t chunk_ns_;

  // Between the threads.
  AudioRing ring_;
  std::atomic<bool> end_requested_{false};
  std::atomic<bool> is_over_{false};  // ended and all of it processed
  std::atomic<bool> has_failed_{false};
  std::atomic<size_t> num_missing_samples_;  // until a step is ready; a hint for the capture thread
  Waker waker_;
  SessionMetrics metrics_;

  CaptureTracker tracker_;  // the capture thread's

  std::mutex step_mutex_;  // a step against changes from the control thread
  std::unique_ptr<EngineStream> stream_;
  Fbank fbank_;
  StreamClock clock_;
  EventQueue events_;
  Listener listener_;
  std::vector<float> window_;
  size_t num_filled_ = 0;
  bool in_stream_ = false;
  uint64_t stream_samples_ = 0;      // real ones that went into the window
  int64_t num_chunks_ = 0;           // of this stream
  std::vector<float> token_powers_;  // mean square of each token of the last chunk
  int64_t refused_deadline_sample_ =
      -1;  // where it was not silent when the utterance might have ended

  std::atomic<bool> stop_worker_{false};
  std::thread worker_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_SESSION_H_
