#include "session/session.h"

#include <algorithm>
#include <exception>

#include "base/status.h"
#include "session/step_stack.h"

namespace galago {
namespace {

constexpr uint32_t kKnownFlags = GALAGO_SESSION_WORKER | GALAGO_SESSION_NO_PARTIALS |
                                 GALAGO_SESSION_POSTERIORS | GALAGO_SESSION_BEAM |
                                 GALAGO_SESSION_GREEDY | GALAGO_SESSION_ONE_PASS;
constexpr uint32_t kMaxInputCapacityMs = 600'000;
constexpr uint32_t kDefaultEventCapacity = 64;
constexpr uint32_t kMaxEventCapacity = 65536;
constexpr uint32_t kMinUtteranceMs = 1000;
constexpr uint32_t kMaxUtteranceMs = 300'000;
constexpr uint32_t kMaxEndpointSilenceMs = 60'000;

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

EventLimits event_limits(const OpenedRoles& roles, const galago_session_options& options) {
  EventLimits limits = VoiceStream::event_limits();  // the smallest
  const auto widen = [&limits](const EventLimits& other) {
    limits.text_bytes = std::max(limits.text_bytes, other.text_bytes);
    limits.num_words = std::max(limits.num_words, other.num_words);
    limits.num_labels = std::max(limits.num_labels, other.num_labels);
    limits.num_values = std::max(limits.num_values, other.num_values);
  };
  if (roles.ear != nullptr) widen(EarStream::event_limits(*roles.ear, options));
  if (roles.eye != nullptr) widen(EyeStream::event_limits(*roles.eye, options));
  return limits;
}

}  // namespace

Session::Session(const OpenedRoles& roles, const galago_session_options& options)
    : flags_(checked(options).flags),
      events_(options.event_capacity != 0 ? options.event_capacity : kDefaultEventCapacity,
              event_limits(roles, options)) {
  // In the order of their turn: hearing does not wait for speech, nor speech for pictures.
  size_t num_bytes = sizeof(*this) + events_.num_bytes();
  if (roles.ear != nullptr) {
    ear_ = std::make_unique<EarStream>(*roles.ear, options, &events_, &metrics_);
    num_bytes += ear_->num_bytes();
    roles_.push_back(ear_.get());
  }
  if (roles.voice != nullptr) {
    voice_ = std::make_unique<VoiceStream>(*roles.voice, &events_, &metrics_);
    num_bytes += voice_->num_bytes();
    roles_.push_back(voice_.get());
  }
  if (roles.eye != nullptr) {
    eye_ = std::make_unique<EyeStream>(*roles.eye, options, &events_, &metrics_);
    num_bytes += eye_->num_bytes();
    roles_.push_back(eye_.get());
  }
  metrics_.set_peak_bytes(num_bytes);
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
  if (ear_) ear_->describe(&info);
  if (eye_) eye_->describe(&info);
  if (voice_) voice_->describe(&info);
  return info;
}

// -- the capture threads ------------------------------------------------------------------------

galago_status Session::push_audio(const float* samples, size_t num_samples,
                                  int64_t capture_ns) noexcept {
  if (!ear_) {
    set_last_error_real_time("push_audio: the bundle has no role \"ear\"");
    return GALAGO_E_UNSUPPORTED;
  }
  if (end_requested_.load(std::memory_order_relaxed)) {
    set_last_error_real_time("push_audio: after end_input; reset the session to begin anew");
    return GALAGO_E_INVALID_STATE;
  }
  bool step_is_ready = false;
  const galago_status status = ear_->push(samples, num_samples, capture_ns, &step_is_ready);
  if (status != GALAGO_OK) return status;
  waker_.signal();
  if (step_is_ready && !has_worker()) waker_.call_wake();
  return GALAGO_OK;
}

galago_status Session::push_image(const galago_image& image) noexcept {
  if (!eye_) {
    set_last_error_real_time("push_image: the bundle has no role \"eye\"");
    return GALAGO_E_UNSUPPORTED;
  }
  if (end_requested_.load(std::memory_order_relaxed)) {
    set_last_error_real_time("push_image: after end_input; reset the session to begin anew");
    return GALAGO_E_INVALID_STATE;
  }
  const galago_status status = eye_->push(image);
  if (status == GALAGO_OK) tell_step();
  return status;
}

galago_status Session::end_input() noexcept {
  // Release: who sees the end sees all input before it.
  end_requested_.store(true, std::memory_order_release);
  tell_step();
  return GALAGO_OK;
}

void Session::tell_step() {
  waker_.signal();
  if (!has_worker()) waker_.call_wake();
}

// -- speech: the playback thread, then any ------------------------------------------------------

galago_status Session::read_speech(float* samples, size_t capacity, size_t* num_read) noexcept {
  *num_read = 0;
  if (!voice_) {
    set_last_error_real_time("read_speech: the bundle has no role \"voice\"");
    return GALAGO_E_UNSUPPORTED;
  }
  bool has_news = false;
  *num_read = voice_->read(samples, capacity, &has_news);
  if (has_news) tell_step();
  return *num_read > 0 ? GALAGO_OK : GALAGO_EMPTY;
}

uint64_t Session::speak(std::string_view utf8) {
  const uint64_t utterance = voice("speak").speak(utf8);
  tell_step();
  return utterance;
}

void Session::stop_speech() {
  voice("stop_speech").stop();
  tell_step();
}

// -- the stepping thread ------------------------------------------------------------------------

galago_status Session::advance() {
  write_step_stack();
  const bool is_over = is_over_.load(std::memory_order_relaxed);
  // In this order: input before its end.
  const bool has_ended = end_requested_.load(std::memory_order_acquire);
  for (RoleStream* role : roles_) {
    // Speech goes on when the input has ended: a reply may be the last thing that happens.
    if (role->has_failed() || (is_over && role != voice_.get())) continue;
    const galago_status status = role->step(has_ended);
    if (status != GALAGO_EMPTY) return status;
  }
  if (has_ended && !is_over) {
    is_over_.store(true, std::memory_order_release);
    waker_.signal();
    waker_.call_wake();
  }
  return GALAGO_EMPTY;
}

bool Session::has_failed() const {
  return std::all_of(roles_.begin(), roles_.end(),
                     [](const RoleStream* role) { return role->has_failed(); });
}

bool Session::has_ended() const {
  const bool is_silent = !voice_ || !voice_->is_speaking();
  return (is_over_.load(std::memory_order_acquire) && is_silent) || has_failed();
}

galago_status Session::step() {
  if (has_worker()) fail(GALAGO_E_INVALID_STATE, "step: this session's worker does it");
  std::lock_guard<std::mutex> lock(step_mutex_);
  if (has_failed()) {
    fail(GALAGO_E_INVALID_STATE, "step: the session has failed; reset it");
  }
  const galago_status status = advance();
  if (status == GALAGO_OK && !events_.is_empty()) waker_.call_wake();
  return status;
}

void Session::work() {
  while (!stop_worker_.load(std::memory_order_seq_cst)) {
    const uint32_t seen = waker_.count();
    galago_status status = GALAGO_EMPTY;
    if (!has_failed()) {
      std::lock_guard<std::mutex> lock(step_mutex_);
      status = advance();
    }
    if (status != GALAGO_EMPTY) {
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
  // The last step is the one that sees that there is nothing more.
  if (end_requested_.load(std::memory_order_acquire)) {
    if (!is_over_.load()) return true;
    return voice_ && !voice_->has_failed() && voice_->is_ready();
  }
  return std::any_of(roles_.begin(), roles_.end(), [](const RoleStream* role) {
    return !role->has_failed() && role->is_ready();
  });
}

galago_status Session::wait(int32_t timeout_ms) {
  const int64_t deadline_ns = monotonic_ns() + int64_t{timeout_ms} * 1'000'000;
  for (;;) {
    const uint32_t seen = waker_.count();
    // In this order: the last events come before the end.
    const bool is_end = has_ended();
    if (!events_.is_empty()) return GALAGO_OK;
    if (is_end) return GALAGO_EMPTY;
    if (!has_worker() && step_is_ready()) return GALAGO_OK;
    const int64_t left_ns =
        timeout_ms < 0 ? -1 : std::max<int64_t>(deadline_ns - monotonic_ns(), 0);
    if (!waker_.wait(seen, left_ns)) return GALAGO_TIMEOUT;
  }
}

void Session::set_wake(galago_wake_fn wake, void* user_data) { waker_.set_wake(wake, user_data); }

void Session::reset() {
  std::lock_guard<std::mutex> lock(step_mutex_);
  events_.clear();
  metrics_.reset();
  end_requested_.store(false, std::memory_order_relaxed);
  is_over_.store(false, std::memory_order_relaxed);
  for (RoleStream* role : roles_) role->reset();
}

Listener& Session::listener(const char* call) {
  if (!ear_) fail(GALAGO_E_UNSUPPORTED, "%s: the bundle has no role \"ear\"", call);
  return ear_->listener();
}

VoiceStream& Session::voice(const char* call) {
  if (!voice_) fail(GALAGO_E_UNSUPPORTED, "%s: the bundle has no role \"voice\"", call);
  return *voice_;
}

void Session::set_grammar(const void* bytes, size_t num_bytes) {
  Listener& listener = this->listener("set_grammar");
  GrammarDecoders grammar = listener.make_grammar(bytes, num_bytes);
  std::lock_guard<std::mutex> lock(step_mutex_);
  grammar = listener.set_grammar(std::move(grammar));
}

void Session::set_phrases(const void* bytes, size_t num_bytes) {
  Listener& listener = this->listener("set_phrases");
  std::unique_ptr<PhraseSpotter> phrases = listener.make_phrases(bytes, num_bytes);
  std::lock_guard<std::mutex> lock(step_mutex_);
  phrases = listener.set_phrases(std::move(phrases));
}

void Session::set_hotwords(const std::vector<Hotword>& hotwords) {
  Listener& listener = this->listener("set_hotwords");
  std::shared_ptr<const HotwordGraph> graph = listener.make_hotwords(hotwords);
  const bool are_known = listener.are_known_words(hotwords);
  std::lock_guard<std::mutex> lock(step_mutex_);
  listener.set_hotwords(graph, are_known);
}

}  // namespace galago
