/* galago.h - the C ABI of galago, a streaming audio-vision runtime.
 *
 * A *bundle* is a compiled model directory: immutable, shared by threads.
 * A *session* is one stream over a bundle: it owns every cache and buffer.
 * Samples, images and texts go in; events and speech come out.
 *
 *     galago_bundle *bundle;
 *     galago_session *session;
 *     galago_event event = GALAGO_EVENT_INIT;
 *     if (galago_bundle_open(GALAGO_ABI, "galago-en-us", NULL, &bundle) < 0 ||
 *         galago_session_open(bundle, NULL, &session) < 0)
 *       return complain(galago_last_error());
 *     while (capture(samples, &num_samples, &capture_ns)) {
 *       galago_session_push_audio(session, samples, num_samples, capture_ns);
 *       while (galago_session_step(session) == GALAGO_OK) {}
 *       while (galago_session_next_event(session, &event) == GALAGO_OK)
 *         if (event.type == GALAGO_EVENT_FINAL) puts(event.text);
 *     }
 *     galago_session_close(session);
 *     galago_bundle_close(bundle);
 *
 * Ownership.  The library frees what it allocates: nothing it hands out is for
 * the caller to free, and each pointer says until when it is valid.  What the
 * caller passes in is copied before the call returns.
 *
 * Threads.  A bundle may be used from any number of threads.  A session has
 * four parts, each on one thread at a time, all four at once:
 *     capture    push_audio, end_input       real-time safe
 *     camera     push_image                  real-time safe
 *     playback   read_speech                 real-time safe
 *     control    everything else
 * and metrics, speak and stop_speech, which any thread may call.  Real-time safe: no
 * lock, no allocation, no blocking call, bounded time.
 *
 * Answers.  GALAGO_OK (0): done.  Positive: nothing there, no failure, nothing
 * filled.  Negative: failed, and nothing changed.  No call ends the process,
 * prints, or lets a C++ exception out.
 *
 * Compatibility.  With the same ABI major, old programs keep working (while the
 * major is 0, the minor must match as well).  Every struct begins with its
 * struct_size, grows only at its end, and takes 0 in a field as the default.
 */
#ifndef GALAGO_H
#define GALAGO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) && defined(GALAGO_BUILD)
#define GALAGO_API __declspec(dllexport)
#elif defined(_WIN32)
#define GALAGO_API __declspec(dllimport)
#else
#define GALAGO_API __attribute__((visibility("default")))
#endif

/* -- library ------------------------------------------------------------- */

#define GALAGO_ABI_MAJOR 0
#define GALAGO_ABI_MINOR 1
#define GALAGO_ABI ((uint32_t)((GALAGO_ABI_MAJOR << 16) | GALAGO_ABI_MINOR))

/* The ABI of the loaded library, as GALAGO_ABI is the ABI of this header. */
GALAGO_API uint32_t galago_abi(void);

/* The release and the engines this build can use: "0.1.0 openvino".  Static. */
GALAGO_API const char* galago_version(void);

typedef int32_t galago_status;
#define GALAGO_OK 0
#define GALAGO_EMPTY 1         /* nothing ready now; ask again later */
#define GALAGO_TIMEOUT 2       /* the wait ended with nothing */
#define GALAGO_E_INTERNAL (-1) /* a defect of galago: please report */
#define GALAGO_E_INVALID_ARGUMENT (-2)
#define GALAGO_E_INVALID_STATE (-3) /* right call, wrong moment */
#define GALAGO_E_ABI (-4)           /* header and library do not fit */
#define GALAGO_E_NOT_FOUND (-5)     /* no such file, backend or key */
#define GALAGO_E_CORRUPT (-6)       /* the bundle fails its checks */
#define GALAGO_E_UNSUPPORTED (-7)   /* not by this build, board or bundle */
#define GALAGO_E_NO_MEMORY (-8)
#define GALAGO_E_FULL (-9)     /* no room: nothing was taken */
#define GALAGO_E_BACKEND (-10) /* the inference engine failed */

/* "GALAGO_E_CORRUPT".  Static, never NULL, whatever the number. */
GALAGO_API const char* galago_status_name(galago_status status);

/* What went wrong in this thread's last failed call, for a person to read:
 * "ear/int8-chunk8.bin: sha256 differs from manifest.json".  Never NULL; valid
 * until this thread calls galago again. */
GALAGO_API const char* galago_last_error(void);

#define GALAGO_LOG_DEBUG 0
#define GALAGO_LOG_INFO 1
#define GALAGO_LOG_WARNING 2
#define GALAGO_LOG_ERROR 3
/* May be called from any thread, never from a real-time safe call; must not
 * call galago.  text is valid during the call. */
typedef void (*galago_log_fn)(void* user_data, int32_t level, const char* text);

/* Until this is called galago is silent; log NULL makes it silent again. */
GALAGO_API void galago_set_log(galago_log_fn log, void* user_data, int32_t min_level);

/* -- bundle -------------------------------------------------------------- */

typedef struct galago_bundle galago_bundle;

typedef struct galago_bundle_options {
  uint32_t struct_size;
  int32_t num_threads;     /* that one step may use; 0: 1 */
  const char* backend;     /* the engine: "openvino";
                              NULL: the first in the manifest that runs here */
  const char* cache_dir;   /* where the engine may keep blobs; NULL: nowhere */
  int32_t chunk_ms;        /* new audio in one step of the ear, e.g. 160, 320 or 640;
                              0: the first target in the manifest that runs here */
  const char* engine_path; /* the engine's library, or the directory it is in; NULL:
                              where the system's loader looks.  The environment's
                              GALAGO_OPENVINO_LIBRARY, a file, overrules it. */
  const char* roles;       /* what is wanted of the bundle, "ear" or "eye,voice": no other
                              role is compiled or can be used; NULL: all that it has */
} galago_bundle_options;
#define GALAGO_BUNDLE_OPTIONS_INIT \
  { (uint32_t)sizeof(galago_bundle_options), 0, 0, 0, 0, 0, 0 }

/* Open the bundle directory at path (UTF-8): every file is compared with its
 * size and SHA-256 in manifest.json before any of it is parsed, then for each role
 * the first target that fits the options and runs here is compiled.  abi is always
 * GALAGO_ABI: it is how the library meets the header.  options may be NULL.
 * *out is NULL after a failure. */
GALAGO_API galago_status galago_bundle_open(uint32_t abi, const char* path,
                                            const galago_bundle_options* options,
                                            galago_bundle** out);

/* A manifest entry as text: "name", "license", "languages.0", "roles.ear.phones".
 * A string is given as it is, anything else as JSON.  "open.target",
 * "open.engine" and "open.inference_precision" tell what this process runs: of
 * the ear, or where there is none of the eye; "open.eye.target" says which.
 * *out is valid as long as the bundle. */
GALAGO_API galago_status galago_bundle_metadata(const galago_bundle* bundle, const char* key,
                                                const char** out);

/* Open sessions keep their bundle alive, so the order of closing is free.
 * NULL is allowed. */
GALAGO_API void galago_bundle_close(galago_bundle* bundle);

/* -- session ------------------------------------------------------------- */

typedef struct galago_session galago_session;

#define GALAGO_SESSION_WORKER (1u << 0)      /* galago steps, on its own thread */
#define GALAGO_SESSION_NO_PARTIALS (1u << 1) /* finals only */
#define GALAGO_SESSION_POSTERIORS (1u << 2)  /* tell GALAGO_EVENT_POSTERIORS and _LOGITS too */
#define GALAGO_SESSION_BEAM (1u << 3)        /* prefix beam search, not the bundle's method */
#define GALAGO_SESSION_GREEDY (1u << 4)      /* the best token of each row, not that method */
#define GALAGO_SESSION_ONE_PASS (1u << 5)    /* no second look at an utterance: less work */

typedef struct galago_session_options {
  uint32_t struct_size;
  uint32_t flags;               /* GALAGO_SESSION_* */
  uint32_t input_capacity_ms;   /* audio that may wait; 0: 2000.  At least two
                                   chunks are made room for. */
  uint32_t event_capacity;      /* events that may wait; 0: 64 */
  uint32_t endpoint_silence_ms; /* silence that ends an utterance;
                                   0: the bundle's */
  uint32_t max_utterance_ms;    /* 0: the bundle's */
} galago_session_options;
#define GALAGO_SESSION_OPTIONS_INIT \
  { (uint32_t)sizeof(galago_session_options), 0, 0, 0, 0, 0 }

/* All memory of the stream is allocated here, none later. */
GALAGO_API galago_status galago_session_open(galago_bundle* bundle,
                                             const galago_session_options* options,
                                             galago_session** out);

typedef struct galago_session_info {
  uint32_t struct_size;
  int32_t input_sample_rate_hz;  /* of push_audio, mono; 0: no audio input */
  int32_t speech_sample_rate_hz; /* of read_speech, mono; 0: no speech */
  int32_t chunk_samples;         /* new audio in one step */
  int32_t left_context_samples;  /* past that the caches hold */
  int32_t lookahead_samples;     /* future a step waits for */
  int32_t image_width;           /* pixels the model sees; 0: no image input */
  int32_t image_height;
} galago_session_info;
#define GALAGO_SESSION_INFO_INIT \
  { (uint32_t)sizeof(galago_session_info), 0, 0, 0, 0, 0, 0, 0 }

/* The shape of the stream, fixed while the session is open.  Its algorithmic
 * latency is chunk_samples + lookahead_samples. */
GALAGO_API galago_status galago_session_get_info(const galago_session* session,
                                                 galago_session_info* info);

/* Forget the stream, keep the memory: as if just opened, but what to listen for
 * stays.  The capture, camera and playback threads must be outside galago. */
GALAGO_API galago_status galago_session_reset(galago_session* session);

/* As reset, then free.  Joins the worker.  NULL is allowed. */
GALAGO_API void galago_session_close(galago_session* session);

/* -- what to listen for: the control thread ------------------------------ */

/* Close the vocabulary to a compiled grammar (bytes made by `galago grammar`),
 * from the next utterance on; NULL opens it again.  A grammar compiled for
 * other phones than this bundle's is refused. */
GALAGO_API galago_status galago_session_set_grammar(galago_session* session, const void* grammar,
                                                    size_t num_bytes);

/* Listen for wake phrases (bytes made by `galago grammar --phrases`), at once and
 * beside whatever else is listened for; NULL stops it.  Each one spotted is
 * told by GALAGO_EVENT_PHRASE. */
GALAGO_API galago_status galago_session_set_phrases(galago_session* session, const void* phrases,
                                                    size_t num_bytes);

/* Boost phrases (UTF-8; boost in nats a token, 0: the default).  Replaces the
 * set before it; may be called while audio runs. */
GALAGO_API galago_status galago_session_set_hotwords(galago_session* session,
                                                     const char* const* phrases,
                                                     const float* boosts, size_t num_phrases);

/* -- input: the capture thread ------------------------------------------- */

/* Append mono samples in [-1, 1]; capture_ns is the monotonic time of the
 * first (0 or more; without a clock, count: samples pushed before * 1e9 / rate).
 * All are taken, or none: with GALAGO_E_FULL; or with GALAGO_E_INVALID_ARGUMENT
 * if they are more than input_capacity_ms, or if one is not finite or beyond
 * 16 (an integer that was not scaled).  A jump of capture_ns by more than 40 ms off
 * what the samples before it lead to is a gap: the utterance before it is
 * finalised, the caches are reset, and GALAGO_EVENT_GAP tells it.
 * GALAGO_E_UNSUPPORTED: a bundle that has no ear. */
GALAGO_API galago_status galago_session_push_audio(galago_session* session, const float* samples,
                                                   size_t num_samples, int64_t capture_ns);

/* No more input, of audio and of images (capture thread): the next steps decode the
 * tail of the audio, padded with silence to a whole chunk, finalise it, and see the
 * image that waits.  Until reset, push_audio and push_image answer
 * GALAGO_E_INVALID_STATE; an image that another thread pushes in this very moment
 * may not be seen any more. */
GALAGO_API galago_status galago_session_end_input(galago_session* session);

/* -- input: the camera thread -------------------------------------------- */

#define GALAGO_RGB8 1u
#define GALAGO_BGR8 2u
#define GALAGO_GRAY8 3u
#define GALAGO_NV12 4u /* planes: Y, then UV of 2x2 pixels; BT.601, limited range */

typedef struct galago_image {
  uint32_t struct_size;
  uint32_t format;             /* GALAGO_RGB8 ... */
  int32_t width;               /* pixels, 1 to 8192; even for NV12 */
  int32_t height;              /* likewise */
  const uint8_t* planes[2];    /* the top row first */
  int32_t row_stride_bytes[2]; /* from a row to the next; 0: rows follow each other */
  int64_t capture_ns;          /* monotonic time, as of the audio; 0 or more */
} galago_image;
#define GALAGO_IMAGE_INIT \
  { (uint32_t)sizeof(galago_image), 0, 0, 0, {0, 0}, {0, 0}, 0 }

/* Replace the image that waits, if one does: the eye sees the newest, and
 * replaced_images counts the others.  The image is cropped and scaled to what the
 * model sees before the call returns, which takes time by the number of its pixels
 * (well under a millisecond for 640x480) and keeps nothing of it.
 * GALAGO_E_INVALID_ARGUMENT: an unknown format, a size or stride out of range, a
 * plane that is NULL.  GALAGO_E_INVALID_STATE: after end_input, or when the eye has
 * failed, until reset.  GALAGO_E_UNSUPPORTED: a bundle that has no eye. */
GALAGO_API galago_status galago_session_push_image(galago_session* session,
                                                   const galago_image* image);

/* -- work and output: the control thread --------------------------------- */

/* Process one chunk of audio; if none waits, the next piece of speech; then the
 * newest image.  GALAGO_EMPTY: not enough input yet, none will come (end_input), and
 * as much speech is ready as may wait.  GALAGO_E_BACKEND: an engine failed, as
 * GALAGO_EVENT_FAILED tells too; the other roles go on.
 * GALAGO_E_INVALID_STATE when all have failed, until reset; and with
 * GALAGO_SESSION_WORKER. */
GALAGO_API galago_status galago_session_step(galago_session* session);

#define GALAGO_EVENT_VOICE_START 1u /* voice activity */
#define GALAGO_EVENT_VOICE_STOP 2u
#define GALAGO_EVENT_PARTIAL 3u     /* text, replaced by the next of its utterance */
#define GALAGO_EVENT_FINAL 4u       /* text, for good */
#define GALAGO_EVENT_LABELS 5u      /* labels: of sound or image */
#define GALAGO_EVENT_EMBEDDING 6u   /* values */
#define GALAGO_EVENT_SPEAK_START 7u /* the first sample can be read */
#define GALAGO_EVENT_SPEAK_STOP 8u  /* the last one was read, or stop_speech */
#define GALAGO_EVENT_GAP 9u         /* no input from begin_ns to end_ns */
#define GALAGO_EVENT_FAILED 10u     /* status, text; labels[0].name: the role; reset the session */
#define GALAGO_EVENT_INTENT 11u     /* text: its name; labels: its slots; see below */
#define GALAGO_EVENT_POSTERIORS 12u /* values: rows of log-probabilities; see below */
#define GALAGO_EVENT_REJECTED 13u   /* speech that no sentence of the grammar fits */
#define GALAGO_EVENT_PHRASE 14u     /* text: the wake phrase that was spotted */
#define GALAGO_EVENT_LOGITS 15u     /* values: the eye's logits of an image; see below */
/* INTENT comes just after the FINAL of its utterance.  REJECTED comes instead of
 * a FINAL; its text is what open listening heard.  values[0] of INTENT, REJECTED
 * and PHRASE is the confidence in [0, 1].  POSTERIORS holds a row for each token
 * (begin_ns is that of the first): the phones' log-probabilities, then the
 * tokens'; its num_values is rows * (phones + tokens).
 * LABELS comes for each image, whose capture_ns is begin_ns and end_ns: up to five
 * classes, the likeliest first, scored by probabilities that are smoothed over
 * images; values[0] is that of the likeliest.  num_labels is 0 where that is below
 * the bundle's accept_probability: nothing that the eye knows.  LOGITS comes just
 * before it on request: what the network said of this image, a value for each of
 * the bundle's labels. */

/* Arrays of these two cannot grow: the reserved words are their future. */
typedef struct galago_label {
  const char* name;  /* of the class, or of the slot */
  const char* value; /* of the slot; NULL for a class */
  float score;       /* [0, 1] */
  uint32_t reserved;
} galago_label;

typedef struct galago_word {
  const char* text;
  int64_t begin_ns; /* capture time */
  int64_t end_ns;
  float confidence; /* [0, 1] */
  uint32_t reserved;
} galago_word;

/* Pointers are valid until the next next_event, reset or close. */
typedef struct galago_event {
  uint32_t struct_size;
  uint32_t type;      /* GALAGO_EVENT_*; skip those you do not know */
  uint64_t sequence;  /* 1, 2, 3, ...: a hole means event_capacity was hit: the
                         oldest that a later one replaces went (PARTIAL,
                         POSTERIORS, LABELS, LOGITS), or else the oldest */
  uint64_t utterance; /* what its partials and its final share; of SPEAK_START
                         and SPEAK_STOP what speak gave, which is counted apart;
                         0: outside of any */
  int64_t begin_ns;   /* capture time that it tells about */
  int64_t end_ns;
  int64_t emitted_ns; /* when galago knew: latency is emitted_ns - end_ns */
  galago_status status;
  uint32_t stable_bytes; /* start of text that no later partial will change */
  const char* text;      /* UTF-8, never NULL */
  const galago_word* words;
  size_t num_words;
  const galago_label* labels;
  size_t num_labels;
  const float* values;
  size_t num_values;
} galago_event;
#define GALAGO_EVENT_INIT \
  { (uint32_t)sizeof(galago_event), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Take the oldest event. */
GALAGO_API galago_status galago_session_next_event(galago_session* session, galago_event* event);

/* Sleep until there is an event to take or, without a worker, a step to do.
 * timeout_ms < 0: for ever.  GALAGO_EMPTY: the input has ended, all of it is
 * processed, what was to be spoken is heard or stopped, and every event is taken;
 * nothing more will come. */
GALAGO_API galago_status galago_session_wait(galago_session* session, int32_t timeout_ms);

/* Called from any thread, the capture thread included, when wait would return.
 * Calls may be merged.  It carries no data and must not call galago: it is
 * there to write to an eventfd or post to the caller's loop. */
typedef void (*galago_wake_fn)(void* user_data);

/* wake NULL removes it: after this call the old one is not running and will not
 * be called again. */
GALAGO_API galago_status galago_session_set_wake(galago_session* session, galago_wake_fn wake,
                                                 void* user_data);

/* -- speech -------------------------------------------------------------- */

/* With a bundle that has no voice, these answer GALAGO_E_UNSUPPORTED. */

/* Queue text (UTF-8) to be spoken behind what is queued already; any thread, and
 * before or after end_input.  Text that begins with "<speak" is SSML (docs/speech-text.md).
 * *utterance, if not NULL, names it: 1, 2, 3, ...  Each one is told of by one
 * GALAGO_EVENT_SPEAK_START when it begins to sound, and by one GALAGO_EVENT_SPEAK_STOP,
 * which comes also if it never sounds.  The text is read before the call returns; the
 * sound is made by the steps, and the first of it is there long before the last.
 * GALAGO_E_INVALID_ARGUMENT: malformed SSML (the message says line and column), more
 * than 256 KiB, or nothing in it that can be said: emoji and other scripts are left
 * out.  GALAGO_E_FULL: 32 texts wait, or hours of speech.  GALAGO_E_INVALID_STATE: the
 * voice has failed, until reset. */
GALAGO_API galago_status galago_session_speak(galago_session* session, const char* text,
                                              uint64_t* utterance);

/* The playback thread: read up to capacity mono samples in [-1, 1], as many as are
 * ready; up to a second of speech is made ahead.  *num_read is 0 with GALAGO_EMPTY:
 * play silence. */
GALAGO_API galago_status galago_session_read_speech(galago_session* session, float* samples,
                                                    size_t capacity, size_t* num_read);

/* Fall silent now and forget what is queued (barge-in).  Any thread; no lock, no
 * allocation.  What read_speech reads from now on is at most 5 ms of the utterance's
 * fading, then nothing of what was spoken or queued before the call. */
GALAGO_API galago_status galago_session_stop_speech(galago_session* session);

/* -- metrics ------------------------------------------------------------- */

/* Since open or reset; -1 where nothing was measured yet. */
typedef struct galago_metrics {
  uint32_t struct_size;
  uint32_t gaps;
  uint64_t input_samples;
  uint64_t refused_samples; /* answered GALAGO_E_FULL */
  uint64_t replaced_images; /* a newer one came before the step */
  uint64_t steps;
  uint64_t late_steps; /* took longer than their chunk lasts */
  int64_t busy_ns;     /* RTF = busy_ns / duration of input_samples */
  int64_t step_p50_ns;
  int64_t step_p99_ns;
  int64_t partial_latency_ns; /* voice start to first partial, last utterance */
  int64_t final_latency_ns;   /* end of voice to final, last utterance: it holds
                                 the endpoint silence */
  int64_t ttfa_ns;            /* speak to first sample, last utterance that did not
                                 have to wait for another */
  int64_t peak_bytes;         /* this session, without the bundle */
  int64_t engine_ns;          /* of busy_ns, inside the engine */
  /* Images are counted apart: steps to engine_ns are the ear's. */
  uint64_t image_steps; /* images processed */
  int64_t image_busy_ns;
  int64_t image_engine_ns; /* of image_busy_ns, inside the engine */
  int64_t image_step_p50_ns;
  int64_t image_step_p99_ns;
  /* So is speech.  RTF = speech_busy_ns / duration of speech_samples. */
  uint64_t speech_samples; /* made */
  int64_t speech_busy_ns;
  int64_t speech_engine_ns;  /* of speech_busy_ns, inside the engine */
  uint64_t speech_underruns; /* read_speech that found too little amid an utterance:
                                heard as a gap where samples are played as they come */
  uint64_t reserved[2];
} galago_metrics;
#define GALAGO_METRICS_INIT                                                                       \
  {                                                                                               \
    (uint32_t)sizeof(galago_metrics), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
        0, 0, 0, {                                                                                \
      0, 0                                                                                        \
    }                                                                                             \
  }

/* Any thread. */
GALAGO_API galago_status galago_session_get_metrics(const galago_session* session,
                                                    galago_metrics* metrics);

#ifdef __cplusplus
}
#endif
#endif /* GALAGO_H */
