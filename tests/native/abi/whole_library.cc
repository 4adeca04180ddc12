// The whole library through the C ABI, with a real engine and the tiny bundle of
// tests/make_tiny_bundle.py: golden vectors, corrupt files, older and newer callers, closing order.
//
// ctest names the bundle in GALAGO_TEST_BUNDLE and the engine's folder in GALAGO_TEST_ENGINE_PATH;
// without them there is nothing to test with, and the program answers 77: skipped.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "galago/galago.h"

namespace {
int run_all(int argc, char** argv);
}
#define main(...) check_main(__VA_ARGS__)
#include "check.h"
#undef main

namespace fs = std::filesystem;

namespace {

fs::path bundle_path() { return std::getenv("GALAGO_TEST_BUNDLE"); }
const char* engine_path() { return std::getenv("GALAGO_TEST_ENGINE_PATH"); }

galago_bundle_options options_for(int32_t chunk_ms = 0) {
  galago_bundle_options options = GALAGO_BUNDLE_OPTIONS_INIT;
  options.engine_path = engine_path();
  options.chunk_ms = chunk_ms;
  return options;
}

galago_bundle* open_bundle(int32_t chunk_ms = 0) {
  const galago_bundle_options options = options_for(chunk_ms);
  galago_bundle* bundle = nullptr;
  CHECK_EQ(galago_bundle_open(GALAGO_ABI, bundle_path().c_str(), &options, &bundle), GALAGO_OK);
  if (bundle == nullptr) std::fprintf(stderr, "%s\n", galago_last_error());
  return bundle;
}

galago_session* open_session(galago_bundle* bundle, uint32_t flags = 0) {
  galago_session_options options = GALAGO_SESSION_OPTIONS_INIT;
  options.flags = flags;
  galago_session* session = nullptr;
  CHECK_EQ(galago_session_open(bundle, &options, &session), GALAGO_OK);
  return session;
}

std::vector<float> read_floats(const fs::path& path) {
  std::vector<float> values(fs::file_size(path) / sizeof(float));
  std::ifstream(path, std::ios::binary)
      .read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
  return values;
}

// The last FINAL's text; posteriors are appended to `rows`.
std::string listen(galago_session* session, const std::vector<float>& audio,
                   std::vector<float>* rows) {
  std::string text;
  galago_event event = GALAGO_EVENT_INIT;
  const auto drain = [&] {
    while (galago_session_step(session) == GALAGO_OK) {
      while (galago_session_next_event(session, &event) == GALAGO_OK) {
        if (event.type == GALAGO_EVENT_FINAL) text = event.text;
        if (event.type == GALAGO_EVENT_POSTERIORS && rows != nullptr) {
          rows->insert(rows->end(), event.values, event.values + event.num_values);
        }
      }
    }
  };
  for (size_t i = 0; i < audio.size(); i += 1000) {
    const size_t n = std::min<size_t>(1000, audio.size() - i);
    CHECK_EQ(
        galago_session_push_audio(session, audio.data() + i, n, static_cast<int64_t>(i) * 62'500),
        GALAGO_OK);
    drain();
  }
  CHECK_EQ(galago_session_end_input(session), GALAGO_OK);
  drain();
  return text;
}

}  // namespace

TEST(golden_vectors_are_met_at_every_chunk_size) {
  for (int chunk_tokens : {4, 8, 16}) {
    galago_bundle* bundle = open_bundle(40 * chunk_tokens);
    if (bundle == nullptr) return;
    galago_session* session = open_session(bundle, GALAGO_SESSION_POSTERIORS);
    const std::vector<float> audio = read_floats(bundle_path() / "golden/audio.f32");
    const std::string stem = "golden/chunk" + std::to_string(chunk_tokens);
    const std::vector<float> phones = read_floats(bundle_path() / (stem + ".phones.f32"));
    const std::vector<float> tokens = read_floats(bundle_path() / (stem + ".tokens.f32"));
    for (int round = 0; round < 2; ++round) {  // the second one after a reset
      std::vector<float> rows;
      CHECK_EQ(listen(session, audio, &rows), "turn on the light");
      CHECK(rows.size() >= phones.size() / 40 * 69);
      double worst = 0;
      for (size_t t = 0; t < phones.size() / 40; ++t) {
        for (size_t i = 0; i < 40; ++i) {
          worst = std::max<double>(worst, std::abs(rows[t * 69 + i] - phones[t * 40 + i]));
        }
        for (size_t i = 0; i < 29; ++i) {
          worst = std::max<double>(worst, std::abs(rows[t * 69 + 40 + i] - tokens[t * 29 + i]));
        }
      }
      CHECK_NEAR(worst, 0.0, 1e-3);
      CHECK_EQ(galago_session_reset(session), GALAGO_OK);
    }
    galago_session_close(session);
    galago_bundle_close(bundle);
  }
}

TEST(a_worker_hears_the_same) {
  galago_bundle* bundle = open_bundle();
  if (bundle == nullptr) return;
  galago_session* session = open_session(bundle, GALAGO_SESSION_WORKER);
  CHECK_EQ(galago_session_step(session), GALAGO_E_INVALID_STATE);
  const std::vector<float> audio = read_floats(bundle_path() / "golden/audio.f32");
  std::thread capture([&] {
    for (size_t i = 0; i < audio.size();) {
      const size_t n = std::min<size_t>(1000, audio.size() - i);
      const galago_status status =
          galago_session_push_audio(session, audio.data() + i, n, static_cast<int64_t>(i) * 62'500);
      if (status == GALAGO_OK) i += n;
      if (status == GALAGO_E_FULL) std::this_thread::yield();
    }
    galago_session_end_input(session);
  });
  std::string text;
  galago_event event = GALAGO_EVENT_INIT;
  while (galago_session_wait(session, 600'000) == GALAGO_OK) {
    while (galago_session_next_event(session, &event) == GALAGO_OK) {
      if (event.type == GALAGO_EVENT_FINAL) text = event.text;
    }
  }
  capture.join();
  CHECK_EQ(text, "turn on the light");
  galago_session_close(session);
  galago_bundle_close(bundle);
}

TEST(sessions_of_one_bundle_run_on_many_threads_and_outlive_it) {
  galago_bundle* bundle = open_bundle();
  if (bundle == nullptr) return;
  const std::vector<float> audio = read_floats(bundle_path() / "golden/audio.f32");
  std::vector<galago_session*> sessions;
  for (int i = 0; i < 3; ++i) sessions.push_back(open_session(bundle));
  galago_bundle_close(bundle);  // before its sessions
  std::vector<std::string> texts(sessions.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < sessions.size(); ++i) {
    threads.emplace_back([&, i] { texts[i] = listen(sessions[i], audio, nullptr); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) CHECK_EQ(text, "turn on the light");
  for (galago_session* session : sessions) galago_session_close(session);
}

TEST(a_damaged_file_is_refused_by_name_whichever_it_is) {
  const fs::path copy = bundle_path().parent_path() / "damaged_bundle";
  for (const auto& entry : fs::recursive_directory_iterator(bundle_path())) {
    if (!entry.is_regular_file() || entry.path().filename() == "manifest.json") continue;
    const std::string name = fs::relative(entry.path(), bundle_path()).string();
    const uintmax_t size = entry.file_size();
    for (int damage = 0; damage < 5; ++damage) {
      fs::remove_all(copy);
      fs::copy(bundle_path(), copy, fs::copy_options::recursive);
      const fs::path victim = copy / name;
      if (damage == 0) {
        fs::resize_file(victim, size - 1);
      } else if (damage == 1) {
        fs::remove(victim);
      } else {
        std::fstream file(victim, std::ios::in | std::ios::out | std::ios::binary);
        const uintmax_t positions[] = {0, size / 2, size - 1};
        const auto at = static_cast<std::streamoff>(positions[damage - 2]);
        file.seekg(at);
        const char flipped = static_cast<char>(file.get() ^ 0x10);
        file.seekp(at);
        file.put(flipped);
      }
      const galago_bundle_options options = options_for();
      galago_bundle* bundle = nullptr;
      CHECK_EQ(galago_bundle_open(GALAGO_ABI, copy.c_str(), &options, &bundle), GALAGO_E_CORRUPT);
      CHECK(std::strstr(galago_last_error(), name.c_str()) != nullptr);
      CHECK(bundle == nullptr);
    }
  }
  fs::remove_all(copy);
}

TEST(a_manifest_of_another_schema_is_refused) {
  const fs::path copy = bundle_path().parent_path() / "schema_bundle";
  fs::remove_all(copy);
  fs::copy(bundle_path(), copy, fs::copy_options::recursive);
  std::ifstream in(bundle_path() / "manifest.json");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const std::string wanted = "\"schema_version\": 1";
  text.replace(text.find(wanted), wanted.size(), "\"schema_version\": 2");
  std::ofstream(copy / "manifest.json") << text;
  const galago_bundle_options options = options_for();
  galago_bundle* bundle = nullptr;
  CHECK_EQ(galago_bundle_open(GALAGO_ABI, copy.c_str(), &options, &bundle), GALAGO_E_UNSUPPORTED);
  CHECK(std::strstr(galago_last_error(), "schema_version") != nullptr);
  fs::remove_all(copy);
}

TEST(a_graph_that_is_not_what_the_manifest_says_is_refused) {
  const fs::path copy = bundle_path().parent_path() / "misnamed_bundle";
  const auto open_changed = [&](const std::string& from, const std::string& to) {
    fs::remove_all(copy);
    fs::copy(bundle_path(), copy, fs::copy_options::recursive);
    std::ifstream in(bundle_path() / "manifest.json");
    std::string text((std::istreambuf_iterator<char>(in)), {});
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
      text.replace(at, from.size(), to);
    }
    std::ofstream(copy / "manifest.json") << text;
    const galago_bundle_options options = options_for();
    galago_bundle* bundle = nullptr;
    return galago_bundle_open(GALAGO_ABI, copy.c_str(), &options, &bundle);
  };
  CHECK_EQ(open_changed("\"keep\": \"keep\"", "\"keep\": \"hold\""), GALAGO_E_CORRUPT);
  CHECK(std::strstr(galago_last_error(), "hold") != nullptr);
  CHECK_EQ(open_changed("\"num_mels\": 80", "\"num_mels\": 40"), GALAGO_E_CORRUPT);
  CHECK(std::strstr(galago_last_error(), "[1, 32, 80]") != nullptr);
  CHECK_EQ(open_changed("\"engine\": \"openvino\"", "\"engine\": \"abacus\""),
           GALAGO_E_UNSUPPORTED);
  CHECK(std::strstr(galago_last_error(), "abacus") != nullptr);
  fs::remove_all(copy);
}

TEST(a_target_that_is_not_there_is_refused_with_what_is) {
  galago_bundle_options options = options_for(100);
  galago_bundle* bundle = nullptr;
  CHECK_EQ(galago_bundle_open(GALAGO_ABI, bundle_path().c_str(), &options, &bundle),
           GALAGO_E_NOT_FOUND);
  CHECK(std::strstr(galago_last_error(), "openvino 320 ms") != nullptr);
  options = options_for();
  options.backend = "tensorrt";
  CHECK_EQ(galago_bundle_open(GALAGO_ABI, bundle_path().c_str(), &options, &bundle),
           GALAGO_E_NOT_FOUND);
}

TEST(the_engine_keeps_its_blobs_in_the_cache_folder_and_hears_the_same_from_them) {
  const fs::path cache = bundle_path().parent_path() / "engine_cache";
  fs::remove_all(cache);
  fs::create_directories(cache);
  const std::string cache_dir = cache.string();
  for (int round = 0; round < 2; ++round) {
    galago_bundle_options options = options_for();
    options.cache_dir = cache_dir.c_str();
    galago_bundle* bundle = nullptr;
    CHECK_EQ(galago_bundle_open(GALAGO_ABI, bundle_path().c_str(), &options, &bundle), GALAGO_OK);
    if (bundle == nullptr) return;
    CHECK(!fs::is_empty(cache));
    galago_session* session = open_session(bundle);
    CHECK_EQ(listen(session, read_floats(bundle_path() / "golden/audio.f32"), nullptr),
             "turn on the light");
    galago_session_close(session);
    galago_bundle_close(bundle);
  }
  fs::remove_all(cache);
}

TEST(structures_of_older_and_newer_callers_work) {
  // Older: before chunk_ms and engine_path. The engine is loaded by now, its path is not needed.
  galago_bundle* first = open_bundle();
  if (first == nullptr) return;
  galago_bundle_options older = options_for(-1);
  older.struct_size = 24;
  galago_bundle* bundle = nullptr;
  CHECK_EQ(galago_bundle_open(GALAGO_ABI, bundle_path().c_str(), &older, &bundle), GALAGO_OK);
  galago_session* session = open_session(bundle);

  // Newer: fields that this library does not know are left alone.
  struct {
    galago_metrics metrics;
    uint64_t newer_field;
  } newer = {GALAGO_METRICS_INIT, 42};
  newer.metrics.struct_size = sizeof(newer);
  CHECK_EQ(galago_session_get_metrics(session, &newer.metrics), GALAGO_OK);
  CHECK_EQ(newer.metrics.struct_size, sizeof(newer));
  CHECK_EQ(newer.newer_field, 42u);
  struct {
    galago_session_options options;
    uint64_t newer_field;
  } newer_options = {GALAGO_SESSION_OPTIONS_INIT, 42};
  newer_options.options.struct_size = sizeof(newer_options);
  galago_session* other = nullptr;
  CHECK_EQ(galago_session_open(bundle, &newer_options.options, &other), GALAGO_OK);

  // Smaller than any version ever was.
  galago_event event = GALAGO_EVENT_INIT;
  event.struct_size = 40;
  CHECK_EQ(galago_session_next_event(session, &event), GALAGO_E_INVALID_ARGUMENT);
  galago_session_info info = GALAGO_SESSION_INFO_INIT;
  info.struct_size = 0;
  CHECK_EQ(galago_session_get_info(session, &info), GALAGO_E_INVALID_ARGUMENT);

  galago_session_close(other);
  galago_session_close(session);
  galago_bundle_close(bundle);
  galago_bundle_close(first);
}

TEST(metadata_is_the_manifest_as_text) {
  galago_bundle* bundle = open_bundle();
  if (bundle == nullptr) return;
  const auto get = [&](const char* key) -> std::string {
    const char* text = nullptr;
    return galago_bundle_metadata(bundle, key, &text) == GALAGO_OK ? text : "(none)";
  };
  CHECK_EQ(get("name"), "galago-tiny");
  CHECK_EQ(get("languages.0"), "en-US");
  CHECK_EQ(get("languages"), "[\"en-US\"]");
  CHECK_EQ(get("schema_version"), "1");
  CHECK_EQ(get("roles.ear.endpoint.silence_ms"), "600");
  CHECK_EQ(get("open.target"), "openvino-f32-chunk8");
  CHECK_EQ(get("open.inference_precision"), "f32");
  CHECK_EQ(get("open.engine").substr(0, 9), "OpenVINO ");
  CHECK_EQ(get("languages.1"), "(none)");
  CHECK_EQ(get("languages.x"), "(none)");
  CHECK_EQ(get(""), "(none)");
  galago_bundle_close(bundle);
}

TEST(calls_for_roles_that_the_bundle_lacks_are_unsupported) {
  galago_bundle* bundle = open_bundle();
  if (bundle == nullptr) return;
  galago_session* session = open_session(bundle);
  galago_image image = GALAGO_IMAGE_INIT;
  float sample = 0;
  size_t num_read = 7;
  CHECK_EQ(galago_session_push_image(session, &image), GALAGO_E_UNSUPPORTED);
  CHECK_EQ(galago_session_speak(session, "hello", nullptr), GALAGO_E_UNSUPPORTED);
  CHECK_EQ(galago_session_read_speech(session, &sample, 1, &num_read), GALAGO_E_UNSUPPORTED);
  CHECK_EQ(num_read, 0u);
  CHECK(std::strstr(galago_last_error(), "voice") != nullptr);
  CHECK_EQ(galago_session_stop_speech(session), GALAGO_E_UNSUPPORTED);
  galago_session_close(session);
  galago_bundle_close(bundle);
}

TEST(the_log_tells_which_target_was_chosen) {
  std::string lines;
  galago_set_log(
      [](void* user_data, int32_t, const char* text) {
        *static_cast<std::string*>(user_data) += std::string(text) + "\n";
      },
      &lines, GALAGO_LOG_INFO);
  galago_bundle* bundle = open_bundle();
  galago_set_log(nullptr, nullptr, 0);
  CHECK(lines.find("openvino-f32-chunk8") != std::string::npos);
  galago_bundle_close(bundle);
}

namespace {
int run_all(int argc, char** argv) {
  if (std::getenv("GALAGO_TEST_BUNDLE") == nullptr || engine_path() == nullptr) {
    std::printf("skipped: GALAGO_TEST_BUNDLE or GALAGO_TEST_ENGINE_PATH is not set\n");
    return 77;
  }
  return check_main(argc, argv);
}
}  // namespace

int main(int argc, char** argv) { return run_all(argc, argv); }
