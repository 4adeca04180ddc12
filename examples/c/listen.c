/* listen: hear a WAV file or raw samples, print what happens.
 *
 *     listen BUNDLE FILE.wav                  16-bit PCM, mono, at the bundle's rate
 *     arecord -t raw -f S16_LE -r 16000 | listen BUNDLE -
 *     listen BUNDLE FILE.wav --loop 120       again and again for 120 minutes of audio: a soak test
 *
 * --engine-path PATH names the folder of the inference engine's library. With --loop only a line
 * a minute is printed: memory and speed must not move.
 */
#include <galago/galago.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SAMPLES = 1600 }; /* 100 ms at 16 kHz */

static int complain(const char* what) {
  fprintf(stderr, "listen: %s: %s\n", what, galago_last_error());
  return 1;
}

static double seconds(int64_t ns) { return (double)ns * 1e-9; }

/* Resident memory of this process in MB; 0 where /proc does not tell. */
static double resident_mb(void) {
  FILE* file = fopen("/proc/self/statm", "r");
  unsigned long total = 0, resident = 0;
  if (file == NULL) return 0;
  if (fscanf(file, "%lu %lu", &total, &resident) != 2) resident = 0;
  fclose(file);
  return (double)resident * 4096 / 1e6;
}

static void print_event(const galago_event* event) {
  size_t i;
  switch (event->type) {
    case GALAGO_EVENT_PARTIAL:
      printf("%8.2f  ... %s\n", seconds(event->end_ns), event->text);
      break;
    case GALAGO_EVENT_FINAL:
      printf("%8.2f  %s\n", seconds(event->end_ns), event->text);
      for (i = 0; i < event->num_words; ++i) {
        const galago_word* word = &event->words[i];
        printf("          %6.2f-%-6.2f %3.0f %%  %s\n", seconds(word->begin_ns),
               seconds(word->end_ns), 100 * word->confidence, word->text);
      }
      break;
    case GALAGO_EVENT_INTENT:
      printf("          intent %s", event->text);
      for (i = 0; i < event->num_labels; ++i) {
        printf(" %s=%s", event->labels[i].name, event->labels[i].value);
      }
      printf("\n");
      break;
    case GALAGO_EVENT_REJECTED:
      printf("%8.2f  not understood: %s\n", seconds(event->end_ns), event->text);
      break;
    case GALAGO_EVENT_PHRASE:
      printf("%8.2f  wake phrase: %s\n", seconds(event->end_ns), event->text);
      break;
    case GALAGO_EVENT_GAP:
      printf("%8.2f  gap of %.2f s\n", seconds(event->begin_ns),
             seconds(event->end_ns - event->begin_ns));
      break;
    case GALAGO_EVENT_FAILED:
      fprintf(stderr, "listen: failed: %s\n", event->text);
      break;
    default:
      break; /* events of a newer library are skipped */
  }
  fflush(stdout);
}

/* Little-endian 16-bit samples behind a RIFF header: the data chunk's first byte is next. */
static int skip_wav_header(FILE* file, int32_t rate_hz) {
  unsigned char head[12], chunk[8], format[16];
  if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) != 0 ||
      memcmp(head + 8, "WAVE", 4) != 0) {
    fprintf(stderr, "listen: not a WAV file\n");
    return 0;
  }
  while (fread(chunk, 1, 8, file) == 8) {
    unsigned long size = chunk[4] | (unsigned long)chunk[5] << 8 | (unsigned long)chunk[6] << 16 |
                         (unsigned long)chunk[7] << 24;
    if (memcmp(chunk, "data", 4) == 0) return 1;
    if (memcmp(chunk, "fmt ", 4) == 0 && size >= 16) {
      long rate;
      if (fread(format, 1, 16, file) != 16) break;
      size -= 16;
      rate = format[4] | (long)format[5] << 8 | (long)format[6] << 16 | (long)format[7] << 24;
      if (format[0] != 1 || format[2] != 1 || format[14] != 16 || rate != rate_hz) {
        fprintf(stderr, "listen: expected 16-bit PCM, mono, %ld Hz\n", (long)rate_hz);
        return 0;
      }
    }
    if (fseek(file, (long)(size + (size & 1)), SEEK_CUR) != 0) break;
  }
  fprintf(stderr, "listen: the WAV file has no data\n");
  return 0;
}

static size_t read_samples(FILE* file, float* samples) {
  static unsigned char bytes[2 * BLOCK_SAMPLES];
  const size_t num_samples = fread(bytes, 2, BLOCK_SAMPLES, file);
  size_t i;
  for (i = 0; i < num_samples; ++i) {
    const int value = bytes[2 * i] | bytes[2 * i + 1] << 8;
    samples[i] = (float)(value >= 32768 ? value - 65536 : value) / 32768.0f;
  }
  return num_samples;
}

/* 0: went well. */
static int process(galago_session* session, int quiet) {
  galago_event event = GALAGO_EVENT_INIT;
  galago_status status;
  while ((status = galago_session_step(session)) == GALAGO_OK) {
    while (galago_session_next_event(session, &event) == GALAGO_OK) {
      if (!quiet) print_event(&event);
    }
  }
  return status < 0;
}

static int run(galago_session* session, FILE* file, int is_wav, double loop_minutes) {
  static float samples[BLOCK_SAMPLES];
  galago_session_info info = GALAGO_SESSION_INFO_INIT;
  galago_metrics metrics = GALAGO_METRICS_INIT;
  int64_t num_pushed = 0;
  double audio_s = 0, next_report_s = 60;
  size_t num_samples;
  const int loops = loop_minutes > 0;

  if (galago_session_get_info(session, &info) < 0) return complain("info");
  do {
    if (is_wav) {
      rewind(file);
      if (!skip_wav_header(file, info.input_sample_rate_hz)) return 1;
    }
    while ((num_samples = read_samples(file, samples)) > 0) {
      /* No clock here: capture time is counted in samples. */
      const int64_t capture_ns = num_pushed * 1000000000 / info.input_sample_rate_hz;
      if (galago_session_push_audio(session, samples, num_samples, capture_ns) < 0) {
        return complain("push_audio");
      }
      num_pushed += (int64_t)num_samples;
      if (process(session, loops)) return complain("step");
      audio_s = (double)num_pushed / info.input_sample_rate_hz;
      if (loops && audio_s >= next_report_s) {
        next_report_s += 60;
        galago_session_get_metrics(session, &metrics);
        printf("%6.0f s  %7.2f MB  RTF %.5f  step p99 %.2f ms\n", audio_s, resident_mb(),
               seconds(metrics.busy_ns) / audio_s, (double)metrics.step_p99_ns * 1e-6);
        fflush(stdout);
      }
    }
  } while (loops && audio_s < 60 * loop_minutes && num_pushed > 0);

  if (galago_session_end_input(session) < 0) return complain("end_input");
  if (process(session, loops)) return complain("step");
  if (galago_session_get_metrics(session, &metrics) < 0) return complain("metrics");
  fprintf(stderr,
          "%.1f s of audio, RTF %.5f (engine %.5f), step p50 %.2f ms, p99 %.2f ms, %.1f MB\n",
          audio_s, seconds(metrics.busy_ns) / audio_s, seconds(metrics.engine_ns) / audio_s,
          (double)metrics.step_p50_ns * 1e-6, (double)metrics.step_p99_ns * 1e-6, resident_mb());
  return 0;
}

int main(int argc, char** argv) {
  galago_bundle_options options = GALAGO_BUNDLE_OPTIONS_INIT;
  galago_bundle* bundle = NULL;
  galago_session* session = NULL;
  double loop_minutes = 0;
  FILE* file = stdin;
  int i, is_wav, answer;

  if (argc < 3 || argc % 2 == 0) {
    fprintf(
        stderr,
        "usage: listen BUNDLE FILE.wav|- [--loop MINUTES] [--chunk-ms N] [--engine-path PATH]\n");
    return 2;
  }
  for (i = 3; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--loop") == 0) loop_minutes = atof(argv[i + 1]);
    if (strcmp(argv[i], "--chunk-ms") == 0) options.chunk_ms = atoi(argv[i + 1]);
    if (strcmp(argv[i], "--engine-path") == 0) options.engine_path = argv[i + 1];
  }
  is_wav = strcmp(argv[2], "-") != 0;
  if (is_wav && (file = fopen(argv[2], "rb")) == NULL) {
    perror(argv[2]);
    return 1;
  }
  options.roles = "ear"; /* nothing else of the bundle is compiled */
  if (galago_bundle_open(GALAGO_ABI, argv[1], &options, &bundle) < 0) {
    answer = complain("bundle");
  } else if (galago_session_open(bundle, NULL, &session) < 0) {
    answer = complain("session");
  } else {
    answer = run(session, file, is_wav, is_wav ? loop_minutes : 0);
  }
  galago_session_close(session);
  galago_bundle_close(bundle);
  if (is_wav) fclose(file);
  return answer;
}
