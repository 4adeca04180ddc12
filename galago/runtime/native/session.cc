#include "session.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "log.h"
#include "status.h"

namespace galago {
namespace {

constexpr uint32_t kKnownFlags = GALAGO_SESSION_WORKER | GALAGO_SESSION_NO_PARTIALS |
                                 GALAGO_SESSION_POSTERIORS | GALAGO_SESSION_BEAM;
constexpr uint32_t kDefaultInputCapacityMs = 2000;
constexpr uint32_t kMaxInputCapacityMs = 600'000;
constexpr uint32_t kDefaultEventCapacity = 64;
constexpr uint32_t kMaxEventCapacity = 65536;
constexpr uint32_t kMinUtteranceMs = 1000;
constexpr uint32_t kMaxUtteranceMs = 300'000;
constexpr uint32_t kMaxEndpointSilenceMs = 60'000;

// 24 dB over full scale. Louder "samples" are integers that somebody forgot to scale.
constexpr float kMaxAmplitude = 16.0f;

// Log-probabilities that rounding may lift above 0, but not further.
constexpr float kMaxLogProb = 0.1f;

// An utterance ends on time, in the middle of a chunk, if every 10 ms that wait are at most 6 dB
// above the mean of the silence before them, which must be known from 120 ms at least.
constexpr int64_t kMinSilentTokens = 3;
constexpr size_t kSilenceBlockSamples = 160;
constexpr float kSilentPowerRatio = 4.0f;
constexpr float kInaudiblePower = 1e-9f;  // -90 dBFS, so that digital silence is no yardstick

const galago_session_options& checked(const galago_session_options& options) {
  const auto check = [](const char* name, uint32_t value, uint32_t low, uint32_t high) {
    if (value != 0 && (value < low || value > high)) {
      fail(GALAGO_E_INVALID_ARGUMENT, "%s is %u; it may be 0 or %u to %u", name, value, low, high);
    }
  };
  if ((options.flags & ~kKnownFlags) != 0) {
    fail(GALAGO_E_INVALID_ARGUMENT, "flags holds bits this library does not know: 0x%x",
         options.flags & ~kKnownFlags);
  }
  check("input_capacity_ms", options.input_capacity_ms, 1, kMaxInputCapacityMs);
  check("event_capacity", options.event_capacity, 2, kMaxEventCapacity);
  check("endpoint_silence_ms", options.endpoint_silence_ms, 1, kMaxEndpointSilenceMs);
  check("max_utterance_ms", options.max_utterance_ms, kMinUtteranceMs, kMaxUtteranceMs);
  return options;
}

ListenerOptions listener_options(const Target& target, const galago_session_options& options) {
  ListenerOptions listener;
  listener.chunk_tokens = target.chunk_tokens;
  listener.endpoint_silence_ms = static_cast<int>(options.endpoint_silence_ms);
  listener.max_utterance_ms = static_cast<int>(options.max_utterance_ms);
  listener.beam = (options.flags & GALAGO_SESSION_BEAM) != 0;
  listener.partials = (options.flags & GALAGO_SESSION_NO_PARTIALS) == 0;
  listener.posteriors = (options.flags & GALAGO_SESSION_POSTERIORS) != 0;
  return listener;
}

size_t window_samples(const Ear& ear, const Target& target) {
  return static_cast<size_t>((target.chunk_frames - 1) * ear.features.hop_samples +
                             ear.features.window_samples);
}

size_t ring_samples(const Ear& ear, const Target& target, const galago_session_options& options) {
  const size_t capacity_ms =
      options.input_capacity_ms != 0 ? options.input_capacity_ms : kDefaultInputCapacityMs;
  return std::max(capacity_ms * static_cast<size_t>(ear.features.sample_rate_hz) / 1000,
                  2 * window_samples(ear, target));
}

float mean_square(const float* samples, size_t num_samples) {
  // Eight sums, so that they fit into one vector register.
  std::array<float, 8> sums{};
  size_t i = 0;
  for (; i + sums.size() <= num_samples; i += sums.size()) {
    for (size_t lane = 0; lane < sums.size(); ++lane) {
      sums[lane] += samples[i + lane] * samples[i + lane];
    }
  }
  for (; i < num_samples; ++i) sums[0] += samples[i] * samples[i];
  float sum = 0.0f;
  for (const float lane : sums) sum += lane;
  return sum / static_cast<float>(num_samples);
}

bool are_log_probs(const float* values, size_t num_values) {
  // Counted, not returned at the first: this way it is straight vector code. NaN fails the test.
  size_t num_good = 0;
  for (size_t i = 0; i < num_values; ++i) num_good += values[i] <= kMaxLogProb ? 1 : 0;
  return num_good == num_values;
}

}  // namespace

Session::Session(std::shared_ptr<Engine> engine, const Ear& ear, const Target& target,
                 const galago_session_options& options)
    : engine_(std::move(engine)),
      target_(target),
      flags_(checked(options).flags),
      sample_rate_hz_(ear.features.sample_rate_hz),
      chunk_samples_(static_cast<size_t>(target.chunk_frames * ear.features.hop_samples)),
      token_samples_(static_cast<size_t>(ear.token_samples())),
      num_phones_(ear.phones.size()),
      num_tokens_(ear.tokens.size()),
      chunk_ns_(int64_t{target.chunk_tokens} * ear.token_ms() * 1'000'000),
      ring_(ring_samples(ear, target, options)),
      num_missing_samples_(window_samples(ear, target)),
      tracker_(sample_rate_hz_),
      stream_(engine_->open_stream()),
      fbank_(ear.features, target.chunk_frames),
      clock_(sample_rate_hz_),
      events_(options.event_capacity != 0 ? options.event_capacity : kDefaultEventCapacity,
              Listener::event_limits(ear, listener_options(target, options))),
      listener_(ear, listener_options(target, options), &events_, &metrics_, &clock_),
      window_(window_samples(ear, target)),
      token_powers_(static_cast<size_t>(target.chunk_tokens)) {
  metrics_.set_peak_bytes(sizeof(*this) + ring_.num_bytes() + stream_->num_bytes() +
                          events_.num_bytes() + listener_.num_bytes() +
                          window_.size() * sizeof(float));
  if ((flags_ & GALAGO_SESSION_WORKER) != 0) worker_ = std::thread([this] { work(); });
}

Session::~Session() {
  if (!worker_.joinable()) return;
  stop_worker_.store(true, std::memory_order_seq_cst);
  waker_.signal();
  worker_.join();
}

galago_session_info Session::info() const {
  galago_session_info info = GALAGO_SESSION_INFO_INIT;
  info.input_sample_rate_hz = sample_rate_hz_;
  info.chunk_samples = static_cast<int32_t>(chunk_samples_);
  info.left_context_samples = static_cast<int32_t>(token_samples_) * target_.left_context_tokens;
  info.lookahead_samples = static_cast<int32_t>(token_samples_) * target_.lookahead_tokens;
  return info;
}

// -- the capture thread -------------------------------------------------------------------------

galago_status Session::push_audio(const float* samples, size_t num_samples,
                                  int64_t capture_ns) noexcept {
  if (has_failed_.load(std::memory_order_relaxed)) {
    set_last_error_real_time("push_audio: the session has failed; reset it");
    return GALAGO_E_INVALID_STATE;
  }
  if (end_requested_.load(std::memory_order_relaxed)) {
    set_last_error_real_time("push_audio: after end_input; reset the session to begin anew");
    return GALAGO_E_INVALID_STATE;
  }
  if (num_samples == 0) return GALAGO_OK;
  if (samples == nullptr) {
    set_last_error_real_time("push_audio: samples is NULL");
    return GALAGO_E_INVALID_ARGUMENT;
  }
  if (num_samples > ring_.capacity()) {
    set_last_error_real_time(
        "push_audio: more samples at once than input_capacity_ms has room for: %llu", num_samples);
    return GALAGO_E_INVALID_ARGUMENT;
  }
  if (capture_ns < 0 || capture_ns > kMaxCaptureNs) {
    set_last_error_real_time("push_audio: capture_ns is negative or beyond 2^62");
    return GALAGO_E_INVALID_ARGUMENT;
  }
  size_t num_good = 0;
  for (size_t i = 0; i < num_samples; ++i) num_good += std::fabs(samples[i]) <= kMaxAmplitude;
  if (num_good != num_samples) {
    size_t i = 0;
    while (std::fabs(samples[i]) <= kMaxAmplitude) ++i;
    set_last_error_real_time(std::isfinite(samples[i])
                                 ? "push_audio: sample %llu is far outside [-1, 1]: not scaled?"
                                 : "push_audio: sample %llu is not finite",
                             i);
    return GALAGO_E_INVALID_ARGUMENT;
  }

  CaptureMark mark;
  const bool needs_mark = tracker_.needs_mark(capture_ns, &mark);
  if (!ring_.write(samples, num_samples, needs_mark ? &mark : nullptr)) {
    metrics_.count_refused(num_samples);
    set_last_error_real_time("push_audio: no room for %llu samples", num_samples);
    return GALAGO_E_FULL;
  }
  tracker_.advance(capture_ns, num_samples, needs_mark ? &mark : nullptr);
  metrics_.count_input(num_samples);
  waker_.signal();
  if ((flags_ & GALAGO_SESSION_WORKER) == 0 &&
      (mark.is_gap || ring_.size() >= num_missing_samples_.load(std::memory_order_relaxed))) {
    waker_.call_wake();
  }
  return GALAGO_OK;
}

galago_status Session::end_input() noexcept {
  // Release: who sees the end sees all samples before it.
  end_requested_.store(true, std::memory_order_release);
  waker_.signal();
  if ((flags_ & GALAGO_SESSION_WORKER) == 0) waker_.call_wake();
  return GALAGO_OK;
}

// -- the stepping thread ------------------------------------------------------------------------

bool Session::advance() {
  for (;;) {
    // In this order: samples before the end, marks of samples.
    const bool has_ended = end_requested_.load(std::memory_order_acquire);
    size_t num_reachable = ring_.size();
    if (const CaptureMark* mark = ring_.front_mark()) {
      const size_t num_before = static_cast<size_t>(mark->sample - ring_.position());
      if (num_before == 0) {
        if (!in_stream_) {
          begin_stream(*mark);
        } else if (!mark->is_gap) {
          clock_.add_anchor(static_cast<int64_t>(stream_samples_), mark->capture_ns);
        } else {
          if (run_padded_chunk()) return true;
          listener_.finish();
          galago_event* event = events_.begin(GALAGO_EVENT_GAP);
          event->begin_ns = mark->gap_begin_ns;
          event->end_ns = mark->capture_ns;
          event->emitted_ns = monotonic_ns();
          events_.publish();
          metrics_.count_gap();
          begin_stream(*mark);
          ring_.drop_mark();
          return true;
        }
        ring_.drop_mark();
        continue;
      }
      num_reachable = std::min(num_reachable, num_before);
    }
    const size_t num_until_end = samples_until_silent_end();
    const size_t num_taken = std::min(num_reachable, needed_samples());
    ring_.read(window_.data() + num_filled_, num_taken);
    num_filled_ += num_taken;
    stream_samples_ += num_taken;
    if (num_taken > 0 && num_taken == num_until_end && end_in_silence()) return true;
    if (missing_samples() == 0) {
      run_chunk();
      return true;
    }
    if (num_taken > 0) continue;
    if (!has_ended || is_over_.load(std::memory_order_relaxed)) return false;
    if (in_stream_) {
      if (run_padded_chunk()) return true;
      listener_.finish();
    }
    const bool had_stream = in_stream_;
    in_stream_ = false;
    is_over_.store(true, std::memory_order_release);
    return had_stream;
  }
}

size_t Session::samples_until_silent_end() const {
  // With a lookahead, the rows say nothing about the chunk's last samples.
  if (target_.lookahead_tokens > 0) return 0;
  const int64_t deadline_token = listener_.silence_deadline();
  if (deadline_token < 0 || listener_.num_silent_rows() < kMinSilentTokens) return 0;
  const int64_t deadline_sample = deadline_token * static_cast<int64_t>(token_samples_);
  const int64_t num_left = deadline_sample - static_cast<int64_t>(stream_samples_);
  if (num_left <= 0 || deadline_sample == refused_deadline_sample_) return 0;
  return static_cast<size_t>(num_left);
}

size_t Session::needed_samples() const {
  const size_t num_until_end = samples_until_silent_end();
  return num_until_end > 0 ? std::min(num_until_end, missing_samples()) : missing_samples();
}

bool Session::end_in_silence() {
  const int64_t num_known =
      std::min<int64_t>(listener_.num_silent_rows(), static_cast<int64_t>(token_powers_.size()));
  float silent_power = 0.0f;
  for (int64_t i = 0; i < num_known; ++i) {
    silent_power += token_powers_[token_powers_.size() - 1 - static_cast<size_t>(i)];
  }
  const float threshold = kSilentPowerRatio * silent_power / static_cast<float>(num_known);
  for (size_t begin = 0; begin < num_filled_; begin += kSilenceBlockSamples) {
    const size_t count = std::min(kSilenceBlockSamples, num_filled_ - begin);
    if (mean_square(window_.data() + begin, count) > threshold + kInaudiblePower) {
      refused_deadline_sample_ = static_cast<int64_t>(stream_samples_);
      return false;
    }
  }
  listener_.end_in_silence();
  return true;
}

void Session::begin_stream(const CaptureMark& mark) {
  in_stream_ = true;
  num_filled_ = 0;
  stream_samples_ = 0;
  num_chunks_ = 0;
  refused_deadline_sample_ = -1;
  clock_.restart(mark.capture_ns);
  listener_.restart();
}

bool Session::run_padded_chunk() {
  const int64_t num_tokens =
      static_cast<int64_t>((stream_samples_ + token_samples_ - 1) / token_samples_);
  if (stream_samples_ == 0 ||
      num_chunks_ * target_.chunk_tokens >= num_tokens + target_.lookahead_tokens) {
    return false;
  }
  std::fill(window_.begin() + static_cast<ptrdiff_t>(num_filled_), window_.end(), 0.0f);
  run_chunk();
  return true;
}

void Session::run_chunk() {
  const int64_t begin_ns = monotonic_ns();
  fbank_.compute(window_.data(), target_.chunk_frames, stream_->features());
  stream_->set_keep(num_chunks_ == 0 ? 0.0f : 1.0f);
  const int64_t engine_begin_ns = monotonic_ns();
  const char* failure = stream_->run();
  const int64_t engine_end_ns = monotonic_ns();

  const size_t num_rows = static_cast<size_t>(target_.chunk_tokens);
  if (failure != nullptr) return fail_stream(GALAGO_E_BACKEND, failure);
  if (!are_log_probs(stream_->phone_log_probs(), num_rows * num_phones_) ||
      !are_log_probs(stream_->token_log_probs(), num_rows * num_tokens_)) {
    return fail_stream(GALAGO_E_BACKEND, "the engine's output is not log-probabilities (NaN?)");
  }

  // Rows of the first lookahead_tokens tell of the time before the stream.
  const int64_t first_row = num_chunks_ * target_.chunk_tokens;
  const size_t num_skipped = static_cast<size_t>(
      std::clamp<int64_t>(target_.lookahead_tokens - first_row, 0, target_.chunk_tokens));
  if (num_skipped < num_rows) {
    listener_.advance(stream_->phone_log_probs() + num_skipped * num_phones_,
                      stream_->token_log_probs() + num_skipped * num_tokens_,
                      static_cast<int>(num_rows - num_skipped));
  }
  ++num_chunks_;
  for (size_t i = 0; i < token_powers_.size(); ++i) {
    token_powers_[i] = mean_square(window_.data() + i * token_samples_, token_samples_);
  }
  num_filled_ = window_.size() - chunk_samples_;
  std::memmove(window_.data(), window_.data() + chunk_samples_, num_filled_ * sizeof(float));
  metrics_.count_step(monotonic_ns() - begin_ns, engine_end_ns - engine_begin_ns, chunk_ns_);
}

void Session::fail_stream(galago_status status, const char* message) {
  galago_event* event = events_.begin(GALAGO_EVENT_FAILED);
  event->status = status;
  event->begin_ns = event->end_ns =
      clock_.capture_ns(num_chunks_ * static_cast<int64_t>(chunk_samples_));
  event->emitted_ns = monotonic_ns();
  events_.set_text(message);
  events_.publish();
  log(GALAGO_LOG_ERROR, "session failed: %s", message);
  set_last_error(message);
  has_failed_.store(true, std::memory_order_release);
}

galago_status Session::step() {
  if ((flags_ & GALAGO_SESSION_WORKER) != 0) {
    fail(GALAGO_E_INVALID_STATE, "step: this session's worker does it");
  }
  std::lock_guard<std::mutex> lock(step_mutex_);
  if (has_failed_.load(std::memory_order_relaxed)) {
    fail(GALAGO_E_INVALID_STATE, "step: the session has failed; reset it");
  }
  const bool stepped = advance();
  num_missing_samples_.store(needed_samples(), std::memory_order_relaxed);
  if (has_failed_.load(std::memory_order_relaxed)) return GALAGO_E_BACKEND;
  if (stepped && !events_.is_empty()) waker_.call_wake();
  return stepped ? GALAGO_OK : GALAGO_EMPTY;
}

void Session::work() {
  while (!stop_worker_.load(std::memory_order_seq_cst)) {
    const uint32_t seen = waker_.count();
    bool stepped = false;
    if (!has_failed_.load(std::memory_order_acquire)) {
      std::lock_guard<std::mutex> lock(step_mutex_);
      try {
        stepped = advance();
      } catch (const std::exception& error) {
        // A defect of ours must not end the caller's process.
        fail_stream(GALAGO_E_INTERNAL, error.what());
        stepped = true;
      }
    }
    if (stepped) {
      // For the control thread; it costs this thread one more round.
      waker_.signal();
      if (!events_.is_empty()) waker_.call_wake();
    } else {
      waker_.wait(seen, -1);
    }
  }
}

// -- the control thread -------------------------------------------------------------------------

galago_status Session::next_event(galago_event* event) {
  return events_.take(event) ? GALAGO_OK : GALAGO_EMPTY;
}

bool Session::step_is_ready() const {
  if (end_requested_.load(std::memory_order_acquire)) return !is_over_.load();
  const CaptureMark* mark = ring_.front_mark();
  return ring_.size() >= needed_samples() || (mark != nullptr && mark->is_gap);
}

galago_status Session::wait(int32_t timeout_ms) {
  const int64_t deadline_ns = monotonic_ns() + int64_t{timeout_ms} * 1'000'000;
  for (;;) {
    const uint32_t seen = waker_.count();
    // In this order: the last events come before the end.
    const bool is_over =
        is_over_.load(std::memory_order_acquire) || has_failed_.load(std::memory_order_acquire);
    if (!events_.is_empty()) return GALAGO_OK;
    if (is_over) return GALAGO_EMPTY;
    if ((flags_ & GALAGO_SESSION_WORKER) == 0 && step_is_ready()) return GALAGO_OK;
    const int64_t left_ns =
        timeout_ms < 0 ? -1 : std::max<int64_t>(deadline_ns - monotonic_ns(), 0);
    if (!waker_.wait(seen, left_ns)) return GALAGO_TIMEOUT;
  }
}

void Session::set_wake(galago_wake_fn wake, void* user_data) { waker_.set_wake(wake, user_data); }

void Session::reset() {
  std::lock_guard<std::mutex> lock(step_mutex_);
  ring_.clear();
  tracker_.reset();
  events_.clear();
  metrics_.reset();
  listener_.reset();
  in_stream_ = false;
  num_filled_ = 0;
  stream_samples_ = 0;
  num_chunks_ = 0;
  num_missing_samples_.store(window_.size(), std::memory_order_relaxed);
  end_requested_.store(false, std::memory_order_relaxed);
  is_over_.store(false, std::memory_order_relaxed);
  has_failed_.store(false, std::memory_order_release);
}

void Session::set_grammar(const void* bytes, size_t num_bytes) {
  std::unique_ptr<GrammarDecoder> grammar = listener_.make_grammar(bytes, num_bytes);
  std::lock_guard<std::mutex> lock(step_mutex_);
  grammar = listener_.set_grammar(std::move(grammar));
}

void Session::set_phrases(const void* bytes, size_t num_bytes) {
  std::unique_ptr<PhraseSpotter> phrases = listener_.make_phrases(bytes, num_bytes);
  std::lock_guard<std::mutex> lock(step_mutex_);
  phrases = listener_.set_phrases(std::move(phrases));
}

void Session::set_hotwords(const std::vector<Hotword>& hotwords) {
  std::shared_ptr<const HotwordGraph> graph = listener_.make_hotwords(hotwords);
  std::lock_guard<std::mutex> lock(step_mutex_);
  listener_.set_hotwords(std::move(graph));
}

}  // namespace galago
