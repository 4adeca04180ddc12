// The exported functions, and nothing else: arguments are checked, structures of older and newer
// callers are met, exceptions become status codes and messages. No exception leaves this file.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "abi/abi_handles.h"
#include "base/log.h"
#include "base/status.h"

#ifndef GALAGO_VERSION
#error "GALAGO_VERSION comes from the build"
#endif

// -- the layout that callers were compiled with: frozen ------------------------------------------

// Of 64-bit platforms; where pointers are smaller the fields stand in the same order, closer.
#define GALAGO_FREEZE(structure, field, offset)                               \
  static_assert(sizeof(void*) != 8 || offsetof(structure, field) == (offset), \
                #structure "." #field " has moved")
#define GALAGO_FREEZE_SIZE(structure, size) \
  static_assert(sizeof(void*) != 8 || sizeof(structure) == (size), #structure " has grown")
GALAGO_FREEZE(galago_bundle_options, num_threads, 4);
GALAGO_FREEZE(galago_bundle_options, backend, 8);
GALAGO_FREEZE(galago_bundle_options, cache_dir, 16);
GALAGO_FREEZE(galago_bundle_options, chunk_ms, 24);
GALAGO_FREEZE(galago_bundle_options, engine_path, 32);
GALAGO_FREEZE(galago_bundle_options, roles, 40);
GALAGO_FREEZE_SIZE(galago_bundle_options, 48);
GALAGO_FREEZE(galago_session_options, flags, 4);
GALAGO_FREEZE(galago_session_options, input_capacity_ms, 8);
GALAGO_FREEZE(galago_session_options, event_capacity, 12);
GALAGO_FREEZE(galago_session_options, endpoint_silence_ms, 16);
GALAGO_FREEZE(galago_session_options, max_utterance_ms, 20);
GALAGO_FREEZE_SIZE(galago_session_options, 24);
GALAGO_FREEZE(galago_session_info, image_height, 28);
GALAGO_FREEZE_SIZE(galago_session_info, 32);
GALAGO_FREEZE(galago_image, planes, 16);
GALAGO_FREEZE(galago_image, capture_ns, 40);
GALAGO_FREEZE_SIZE(galago_image, 48);
GALAGO_FREEZE_SIZE(galago_label, 24);
GALAGO_FREEZE_SIZE(galago_word, 32);
GALAGO_FREEZE(galago_event, sequence, 8);
GALAGO_FREEZE(galago_event, status, 48);
GALAGO_FREEZE(galago_event, stable_bytes, 52);
GALAGO_FREEZE(galago_event, text, 56);
GALAGO_FREEZE(galago_event, words, 64);
GALAGO_FREEZE(galago_event, num_values, 104);
GALAGO_FREEZE_SIZE(galago_event, 112);
GALAGO_FREEZE(galago_metrics, input_samples, 8);
GALAGO_FREEZE(galago_metrics, busy_ns, 48);
GALAGO_FREEZE(galago_metrics, peak_bytes, 96);
GALAGO_FREEZE(galago_metrics, engine_ns, 104);
GALAGO_FREEZE(galago_metrics, image_steps, 112);
GALAGO_FREEZE(galago_metrics, image_step_p99_ns, 144);
GALAGO_FREEZE(galago_metrics, speech_samples, 152);
GALAGO_FREEZE(galago_metrics, speech_underruns, 176);
GALAGO_FREEZE_SIZE(galago_metrics, 200);

namespace {

using galago::fail;

// The first size each structure had: no caller's is smaller.
constexpr uint32_t kFirstBundleOptionsBytes = offsetof(galago_bundle_options, chunk_ms);
constexpr uint32_t kFirstSessionOptionsBytes = sizeof(galago_session_options);
constexpr uint32_t kFirstSessionInfoBytes = sizeof(galago_session_info);
constexpr uint32_t kFirstImageBytes = sizeof(galago_image);
constexpr uint32_t kFirstEventBytes = sizeof(galago_event);
constexpr uint32_t kFirstMetricsBytes = offsetof(galago_metrics, speech_engine_ns);

// Runs a call behind the firewall.
template <typename Call>
galago_status guarded(Call call) noexcept {
  try {
    return call();
  } catch (const galago::Error& error) {
    galago::set_last_error(error.what());
    return error.status();
  } catch (const std::bad_alloc&) {
    galago::set_last_error("out of memory");
    return GALAGO_E_NO_MEMORY;
  } catch (const std::exception& error) {
    galago::set_last_error(error.what());
    return GALAGO_E_INTERNAL;
  } catch (...) {
    galago::set_last_error("an exception of unknown type");
    return GALAGO_E_INTERNAL;
  }
}

void require(const void* pointer, const char* name) {
  if (pointer == nullptr) fail(GALAGO_E_INVALID_ARGUMENT, "%s is NULL", name);
}

void require_size(uint32_t struct_size, uint32_t first_bytes, const char* name) {
  if (struct_size < first_bytes) {
    fail(GALAGO_E_INVALID_ARGUMENT, "%s.struct_size is %u, less than the first version's %u", name,
         struct_size, first_bytes);
  }
}

// Of a caller's structure what is there; fields it does not have yet keep their default.
template <typename T>
T read_struct(const T* caller, T defaults, uint32_t first_bytes, const char* name) {
  if (caller == nullptr) return defaults;
  require_size(caller->struct_size, first_bytes, name);
  std::memcpy(&defaults, caller, std::min<size_t>(caller->struct_size, sizeof(T)));
  return defaults;
}

// Into a caller's structure what it has room for; its struct_size stays.
template <typename T>
void write_struct(T* caller, T value) {
  value.struct_size = caller->struct_size;
  std::memcpy(caller, &value, std::min<size_t>(caller->struct_size, sizeof(T)));
}

// Fills a caller's structure with what `read` finds out about the session.
template <typename T, typename Read>
galago_status fill_struct(const galago_session* session, T* caller, uint32_t first_bytes,
                          const char* argument, const char* name, Read read) noexcept {
  return guarded([&] {
    require(session, "session");
    require(caller, argument);
    require_size(caller->struct_size, first_bytes, name);
    write_struct(caller, read(session->session));
    return GALAGO_OK;
  });
}

std::string text_or_empty(const char* text) { return text == nullptr ? std::string() : text; }

}  // namespace

uint32_t galago_abi(void) { return GALAGO_ABI; }

const char* galago_version(void) { return GALAGO_VERSION " openvino"; }

const char* galago_status_name(galago_status status) { return galago::status_name(status); }

const char* galago_last_error(void) { return galago::last_error(); }

void galago_set_log(galago_log_fn log, void* user_data, int32_t min_level) {
  guarded([&] {
    galago::set_log(log, user_data, min_level);
    return GALAGO_OK;
  });
}

galago_status galago_bundle_open(uint32_t abi, const char* path,
                                 const galago_bundle_options* options, galago_bundle** out) {
  return guarded([&] {
    require(out, "out");
    *out = nullptr;
    // While the major is 0 the minor must match as well.
    if (abi != GALAGO_ABI) {
      fail(GALAGO_E_ABI, "the program's galago.h is of ABI %u.%u, this library of %u.%u", abi >> 16,
           abi & 0xFFFFu, GALAGO_ABI >> 16, GALAGO_ABI & 0xFFFFu);
    }
    require(path, "path");
    const galago_bundle_options defaults = GALAGO_BUNDLE_OPTIONS_INIT;
    const galago_bundle_options given =
        read_struct(options, defaults, kFirstBundleOptionsBytes, "galago_bundle_options");
    if (given.num_threads < 0 || given.num_threads > 1024) {
      fail(GALAGO_E_INVALID_ARGUMENT, "num_threads is %d; it may be 0 to 1024", given.num_threads);
    }
    if (given.chunk_ms < 0) {
      fail(GALAGO_E_INVALID_ARGUMENT, "chunk_ms is %d; it may not be negative", given.chunk_ms);
    }
    galago::BundleOptions bundle_options;
    bundle_options.chunk_ms = given.chunk_ms;
    bundle_options.backend = text_or_empty(given.backend);
    bundle_options.roles = text_or_empty(given.roles);
    bundle_options.engine.num_threads = std::max(given.num_threads, 1);
    bundle_options.engine.cache_dir = text_or_empty(given.cache_dir);
    bundle_options.engine.engine_path = text_or_empty(given.engine_path);
    *out = new galago_bundle{galago::Bundle::open(path, bundle_options)};
    return GALAGO_OK;
  });
}

galago_status galago_bundle_metadata(const galago_bundle* bundle, const char* key,
                                     const char** out) {
  return guarded([&] {
    require(out, "out");
    *out = nullptr;
    require(bundle, "bundle");
    require(key, "key");
    *out = bundle->bundle->metadata(key);
    return GALAGO_OK;
  });
}

void galago_bundle_close(galago_bundle* bundle) { delete bundle; }

galago_status galago_session_open(galago_bundle* bundle, const galago_session_options* options,
                                  galago_session** out) {
  return guarded([&] {
    require(out, "out");
    *out = nullptr;
    require(bundle, "bundle");
    const galago_session_options defaults = GALAGO_SESSION_OPTIONS_INIT;
    const galago_session_options given =
        read_struct(options, defaults, kFirstSessionOptionsBytes, "galago_session_options");
    const galago::Bundle& opened = *bundle->bundle;
    *out = new galago_session{{{opened.ear(), opened.eye(), opened.voice()}, given}};
    return GALAGO_OK;
  });
}

galago_status galago_session_get_info(const galago_session* session, galago_session_info* info) {
  return fill_struct(session, info, kFirstSessionInfoBytes, "info", "galago_session_info",
                     [](const galago::Session& opened) { return opened.info(); });
}

galago_status galago_session_reset(galago_session* session) {
  return guarded([&] {
    require(session, "session");
    session->session.reset();
    return GALAGO_OK;
  });
}

void galago_session_close(galago_session* session) { delete session; }

galago_status galago_session_set_grammar(galago_session* session, const void* grammar,
                                         size_t num_bytes) {
  return guarded([&] {
    require(session, "session");
    session->session.set_grammar(grammar, num_bytes);
    return GALAGO_OK;
  });
}

galago_status galago_session_set_phrases(galago_session* session, const void* phrases,
                                         size_t num_bytes) {
  return guarded([&] {
    require(session, "session");
    session->session.set_phrases(phrases, num_bytes);
    return GALAGO_OK;
  });
}

galago_status galago_session_set_hotwords(galago_session* session, const char* const* phrases,
                                          const float* boosts, size_t num_phrases) {
  return guarded([&] {
    require(session, "session");
    if (num_phrases > 0) require(phrases, "phrases");
    std::vector<galago::Hotword> hotwords;
    for (size_t i = 0; i < num_phrases; ++i) {
      require(phrases[i], "an item of phrases");
      hotwords.push_back({phrases[i], boosts == nullptr ? 0.0f : boosts[i]});
    }
    session->session.set_hotwords(hotwords);
    return GALAGO_OK;
  });
}

galago_status galago_session_push_audio(galago_session* session, const float* samples,
                                        size_t num_samples, int64_t capture_ns) {
  if (session == nullptr) {
    galago::set_last_error_real_time("session is NULL");
    return GALAGO_E_INVALID_ARGUMENT;
  }
  return session->session.push_audio(samples, num_samples, capture_ns);
}

galago_status galago_session_push_image(galago_session* session, const galago_image* image) {
  // Real-time safe: no exception is thrown.
  if (session == nullptr || image == nullptr) {
    galago::set_last_error_real_time("push_image: session or image is NULL");
    return GALAGO_E_INVALID_ARGUMENT;
  }
  if (image->struct_size < kFirstImageBytes) {
    galago::set_last_error_real_time(
        "galago_image.struct_size is %llu, less than the first version's", image->struct_size);
    return GALAGO_E_INVALID_ARGUMENT;
  }
  // What a newer caller's structure has more is not known here.
  return session->session.push_image(*image);
}

galago_status galago_session_end_input(galago_session* session) {
  if (session == nullptr) {
    galago::set_last_error_real_time("session is NULL");
    return GALAGO_E_INVALID_ARGUMENT;
  }
  return session->session.end_input();
}

galago_status galago_session_step(galago_session* session) {
  return guarded([&] {
    require(session, "session");
    return session->session.step();
  });
}

galago_status galago_session_next_event(galago_session* session, galago_event* event) {
  return guarded([&] {
    require(session, "session");
    require(event, "event");
    require_size(event->struct_size, kFirstEventBytes, "galago_event");
    galago_event next;
    const galago_status status = session->session.next_event(&next);
    if (status == GALAGO_OK) write_struct(event, next);
    return status;
  });
}

galago_status galago_session_wait(galago_session* session, int32_t timeout_ms) {
  return guarded([&] {
    require(session, "session");
    return session->session.wait(timeout_ms);
  });
}

galago_status galago_session_set_wake(galago_session* session, galago_wake_fn wake,
                                      void* user_data) {
  return guarded([&] {
    require(session, "session");
    session->session.set_wake(wake, user_data);
    return GALAGO_OK;
  });
}

galago_status galago_session_speak(galago_session* session, const char* text, uint64_t* utterance) {
  return guarded([&] {
    require(session, "session");
    require(text, "text");
    const uint64_t number = session->session.speak(text);
    if (utterance != nullptr) *utterance = number;
    return GALAGO_OK;
  });
}

galago_status galago_session_read_speech(galago_session* session, float* samples, size_t capacity,
                                         size_t* num_read) {
  // Real-time safe: no exception is thrown.
  if (session == nullptr || num_read == nullptr || (samples == nullptr && capacity > 0)) {
    galago::set_last_error_real_time("read_speech: session, samples or num_read is NULL");
    return GALAGO_E_INVALID_ARGUMENT;
  }
  return session->session.read_speech(samples, capacity, num_read);
}

galago_status galago_session_stop_speech(galago_session* session) {
  return guarded([&] {
    require(session, "session");
    session->session.stop_speech();
    return GALAGO_OK;
  });
}

galago_status galago_session_get_metrics(const galago_session* session, galago_metrics* metrics) {
  return fill_struct(session, metrics, kFirstMetricsBytes, "metrics", "galago_metrics",
                     [](const galago::Session& opened) { return opened.metrics(); });
}
