/* The header as a C99 program sees it: layout, defaults, and what needs no bundle. */
#include "galago/galago.h"

#include <stdio.h>
#include <string.h>

#define ASSERT_LAYOUT(condition, name) typedef char layout_##name[(condition) ? 1 : -1]

ASSERT_LAYOUT(sizeof(galago_bundle_options) == 48, bundle_options);
ASSERT_LAYOUT(offsetof(galago_bundle_options, chunk_ms) == 24, bundle_options_chunk_ms);
ASSERT_LAYOUT(offsetof(galago_bundle_options, engine_path) == 32, bundle_options_engine_path);
ASSERT_LAYOUT(offsetof(galago_bundle_options, roles) == 40, bundle_options_roles);
ASSERT_LAYOUT(sizeof(galago_session_options) == 24, session_options);
ASSERT_LAYOUT(sizeof(galago_session_info) == 32, session_info);
ASSERT_LAYOUT(sizeof(galago_image) == 48, image);
ASSERT_LAYOUT(sizeof(galago_label) == 24, label);
ASSERT_LAYOUT(sizeof(galago_word) == 32, word);
ASSERT_LAYOUT(sizeof(galago_event) == 112, event);
ASSERT_LAYOUT(offsetof(galago_event, begin_ns) == 24, event_begin_ns);
ASSERT_LAYOUT(offsetof(galago_event, text) == 56, event_text);
ASSERT_LAYOUT(sizeof(galago_metrics) == 200, metrics);
ASSERT_LAYOUT(offsetof(galago_metrics, engine_ns) == 104, metrics_engine_ns);
ASSERT_LAYOUT(offsetof(galago_metrics, image_steps) == 112, metrics_image_steps);
ASSERT_LAYOUT(offsetof(galago_metrics, speech_samples) == 152, metrics_speech_samples);
ASSERT_LAYOUT(offsetof(galago_image, planes) == 16, image_planes);
ASSERT_LAYOUT(offsetof(galago_image, row_stride_bytes) == 32, image_row_stride_bytes);

static int num_failures = 0;

static void check(int condition, const char* text, int line) {
  if (condition) return;
  fprintf(stderr, "abi_c99.c:%d: not true: %s (last error: %s)\n", line, text, galago_last_error());
  ++num_failures;
}
#define CHECK(condition) check(condition, #condition, __LINE__)

int main(void) {
  galago_bundle_options options = GALAGO_BUNDLE_OPTIONS_INIT;
  galago_session_options session_options = GALAGO_SESSION_OPTIONS_INIT;
  galago_session_info info = GALAGO_SESSION_INFO_INIT;
  galago_event event = GALAGO_EVENT_INIT;
  galago_metrics metrics = GALAGO_METRICS_INIT;
  galago_image image = GALAGO_IMAGE_INIT;
  galago_bundle* bundle = (galago_bundle*)&options; /* anything but NULL */
  galago_session* session = NULL;
  const char* text = "";
  float sample = 0.0f;
  size_t num_read = 0;
  int status;

  CHECK(options.struct_size == sizeof options &&
        session_options.struct_size == sizeof session_options);
  CHECK(info.struct_size == sizeof info && event.struct_size == sizeof event);
  CHECK(metrics.struct_size == sizeof metrics && image.struct_size == sizeof image);
  CHECK(galago_abi() == GALAGO_ABI);
  CHECK(strlen(galago_version()) > 5);
  CHECK(strcmp(galago_last_error(), "") == 0);
  for (status = -12; status < 5; ++status) CHECK(strlen(galago_status_name(status)) > 0);
  CHECK(strcmp(galago_status_name(GALAGO_E_CORRUPT), "GALAGO_E_CORRUPT") == 0);

  CHECK(galago_bundle_open(GALAGO_ABI + 1, "x", NULL, &bundle) == GALAGO_E_ABI);
  CHECK(bundle == NULL);
  CHECK(strstr(galago_last_error(), "ABI") != NULL);
  CHECK(galago_bundle_open(GALAGO_ABI, NULL, NULL, &bundle) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_bundle_open(GALAGO_ABI, "x", NULL, NULL) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_bundle_open(GALAGO_ABI, "no such folder", &options, &bundle) == GALAGO_E_NOT_FOUND);
  CHECK(strstr(galago_last_error(), "no such folder/manifest.json") != NULL);
  options.struct_size = 8;
  CHECK(galago_bundle_open(GALAGO_ABI, "x", &options, &bundle) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(strstr(galago_last_error(), "struct_size") != NULL);

  /* Every call meets NULL with an answer. */
  CHECK(galago_bundle_metadata(NULL, "name", &text) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_open(NULL, NULL, &session) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_get_info(NULL, &info) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_reset(NULL) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_set_grammar(NULL, NULL, 0) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_set_phrases(NULL, NULL, 0) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_set_hotwords(NULL, NULL, NULL, 0) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_push_audio(NULL, &sample, 1, 0) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_push_image(NULL, &image) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_end_input(NULL) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_step(NULL) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_next_event(NULL, &event) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_wait(NULL, 0) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_set_wake(NULL, NULL, NULL) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_speak(NULL, "hello", NULL) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_read_speech(NULL, &sample, 1, &num_read) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_stop_speech(NULL) == GALAGO_E_INVALID_ARGUMENT);
  CHECK(galago_session_get_metrics(NULL, &metrics) == GALAGO_E_INVALID_ARGUMENT);
  galago_session_close(NULL);
  galago_bundle_close(NULL);
  galago_set_log(NULL, NULL, GALAGO_LOG_DEBUG);

  printf("%d failures\n", num_failures);
  return num_failures == 0 ? 0 : 1;
}
