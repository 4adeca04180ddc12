/* speak: say a text into a WAV file.
 *
 *     speak BUNDLE "Hello, world." hello.wav
 *     speak BUNDLE "<speak>Wait <break time='1s'/> here.</speak>" wait.wav --engine-path PATH
 *
 * One thread does everything here: it steps, and reads what there is. A device reads in the
 * callback of its sound card instead, and plays silence where nothing is ready.
 */
#include <galago/galago.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_SAMPLES = 160 };

static int complain(const char* what) {
  fprintf(stderr, "speak: %s: %s\n", what, galago_last_error());
  return 1;
}

static void put(FILE* file, unsigned long value, int num_bytes) {
  for (; num_bytes > 0; --num_bytes, value >>= 8) putc((int)(value & 255), file);
}

/* 16-bit PCM, mono. */
static void write_header(FILE* file, unsigned long rate_hz, unsigned long num_samples) {
  fputs("RIFF", file);
  put(file, 36 + 2 * num_samples, 4);
  fputs("WAVEfmt ", file);
  put(file, 16, 4);
  put(file, 1, 2);
  put(file, 1, 2);
  put(file, rate_hz, 4);
  put(file, 2 * rate_hz, 4);
  put(file, 2, 2);
  put(file, 16, 2);
  fputs("data", file);
  put(file, 2 * num_samples, 4);
}

/* The number of samples; negative: it failed. */
static long speak(galago_session* session, const char* text, FILE* file) {
  float samples[BLOCK_SAMPLES];
  galago_event event = GALAGO_EVENT_INIT;
  uint64_t utterance = 0;
  long num_samples = 0;
  int is_over = 0;
  if (galago_session_speak(session, text, &utterance) < 0) return -(long)complain("text");
  while (!is_over) {
    size_t num_read = 0, i;
    const galago_status status = galago_session_step(session);
    if (status < 0) return -(long)complain("step");
    if (galago_session_read_speech(session, samples, BLOCK_SAMPLES, &num_read) < 0) {
      return -(long)complain("read_speech");
    }
    for (i = 0; i < num_read; ++i) {
      put(file, (unsigned long)(long)(samples[i] * 32767.0f) & 0xFFFF, 2);
    }
    num_samples += (long)num_read;
    while (galago_session_next_event(session, &event) == GALAGO_OK) {
      is_over |= event.type == GALAGO_EVENT_SPEAK_STOP && event.utterance == utterance;
    }
  }
  return num_samples;
}

static int say(galago_session* session, const char* text, const char* path) {
  galago_session_info info = GALAGO_SESSION_INFO_INIT;
  galago_metrics metrics = GALAGO_METRICS_INIT;
  unsigned long rate_hz;
  long num_samples;
  int failed;
  FILE* file = fopen(path, "wb");
  if (file == NULL) {
    perror(path);
    return 1;
  }
  if (galago_session_get_info(session, &info) < 0) {
    fclose(file);
    return complain("info");
  }
  rate_hz = (unsigned long)info.speech_sample_rate_hz;
  write_header(file, rate_hz, 0);
  num_samples = speak(session, text, file);
  if (num_samples >= 0) {
    rewind(file); /* how long it is, is known now */
    write_header(file, rate_hz, (unsigned long)num_samples);
  }
  failed = ferror(file);
  if (fclose(file) != 0 || failed) {
    perror(path);
    return 1;
  }
  if (num_samples < 0) return 1;
  if (galago_session_get_metrics(session, &metrics) < 0) return complain("metrics");
  printf("%.2f s of speech, the first sample after %.1f ms, RTF %.4f\n",
         (double)num_samples / (double)rate_hz, (double)metrics.ttfa_ns * 1e-6,
         (double)metrics.speech_busy_ns * 1e-9 * (double)rate_hz / (double)metrics.speech_samples);
  return 0;
}

int main(int argc, char** argv) {
  galago_bundle_options options = GALAGO_BUNDLE_OPTIONS_INIT;
  galago_bundle* bundle = NULL;
  galago_session* session = NULL;
  int answer;
  if (argc != 4 && (argc != 6 || strcmp(argv[4], "--engine-path") != 0)) {
    fprintf(stderr, "usage: speak BUNDLE TEXT FILE.wav [--engine-path PATH]\n");
    return 2;
  }
  if (argc == 6) options.engine_path = argv[5];
  options.roles = "voice"; /* nothing else of the bundle is compiled */
  if (galago_bundle_open(GALAGO_ABI, argv[1], &options, &bundle) < 0) {
    answer = complain("bundle");
  } else if (galago_session_open(bundle, NULL, &session) < 0) {
    answer = complain("session");
  } else {
    answer = say(session, argv[2], argv[3]);
  }
  galago_session_close(session);
  galago_bundle_close(bundle);
  return answer;
}
