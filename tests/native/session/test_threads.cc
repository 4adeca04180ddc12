// Capture, control and metrics at once, as the header allows. Run under ThreadSanitizer (preset
// tsan), this is where a race would show; without it, where a lost wake-up or sample would.
#include <atomic>
#include <chrono>
#include <thread>

#include "check.h"
#include "eye/scripted_eye.h"
#include "session/session_fixture.h"
#include "session/waker.h"

using namespace galago;

namespace {

constexpr size_t kBlockSamples = 320;
constexpr size_t kNumBlocks = 4000;    // 80 s of audio
constexpr int32_t kHangsMs = 600'000;  // a guard: on any machine, something comes sooner

// Pushes everything, waiting where the ring is full; with a jump of time now and then.
void capture(Session* session, bool gaps) {
  const std::vector<float> block(kBlockSamples, 0.01f);
  int64_t capture_ns = 1'000'000'000;
  for (size_t i = 0; i < kNumBlocks;) {
    const galago_status status = session->push_audio(block.data(), kBlockSamples, capture_ns);
    if (status == GALAGO_OK) {
      ++i;
      capture_ns += kBlockSamples * kSampleNs;
      if (gaps && i % 1000 == 0) capture_ns += 1'000'000'000;
    } else {
      CHECK_EQ(status, GALAGO_E_FULL);
      std::this_thread::yield();
    }
  }
  session->end_input();
}

std::string talk() {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "....aa~bb_~cc....................";
  return text;
}

void run(uint32_t flags) {
  // Room for every event: how often this thread gets to take them is the scheduler's business.
  galago_session_options options = SessionFixture::with_flags(flags);
  options.event_capacity = 4096;
  SessionFixture fixture(talk(), options);
  std::atomic<int> num_wakes{0};
  fixture.session->set_wake(
      [](void* user_data) { static_cast<std::atomic<int>*>(user_data)->fetch_add(1); }, &num_wakes);
  std::atomic<bool> is_done{false};
  std::thread capturing([&] { capture(fixture.session.get(), true); });
  std::thread measuring([&] {
    while (!is_done.load()) {
      const galago_metrics metrics = fixture.session->metrics();
      CHECK(metrics.input_samples <= kNumBlocks * kBlockSamples);
      std::this_thread::yield();
    }
  });
  int round = 0;
  galago_status status;
  while ((status = fixture.session->wait(kHangsMs)) == GALAGO_OK) {
    if ((flags & GALAGO_SESSION_WORKER) == 0) fixture.session->step();
    fixture.take_all();
    if (++round % 10 == 0) fixture.session->set_hotwords({{round % 20 == 0 ? "ab" : "cab", 1.0f}});
    if (round % 15 == 0) fixture.session->set_grammar(nullptr, 0);
    if (round % 25 == 0) {
      fixture.session->set_wake(nullptr, nullptr);
      fixture.session->set_wake(
          [](void* user_data) { static_cast<std::atomic<int>*>(user_data)->fetch_add(1); },
          &num_wakes);
    }
  }
  CHECK_EQ(status, GALAGO_EMPTY);
  capturing.join();
  is_done.store(true);
  measuring.join();
  const galago_metrics metrics = fixture.session->metrics();
  CHECK_EQ(metrics.input_samples, kNumBlocks * kBlockSamples);
  CHECK_EQ(metrics.gaps, 3u);
  CHECK(num_wakes.load() > 0);
  CHECK(fixture.of_type(GALAGO_EVENT_FINAL).size() > 50);
  for (size_t i = 1; i < fixture.heard.size(); ++i) {
    CHECK(fixture.heard[i].sequence > fixture.heard[i - 1].sequence);
  }
}

}  // namespace

TEST(capture_control_and_metrics_run_at_once) { run(0); }

TEST(a_worker_runs_beside_capture_control_and_metrics) { run(GALAGO_SESSION_WORKER); }

TEST(reset_and_close_are_safe_while_a_worker_runs) {
  for (int i = 0; i < 20; ++i) {
    SessionFixture fixture(talk(), SessionFixture::with_flags(GALAGO_SESSION_WORKER));
    for (int round = 0; round < 5; ++round) {
      fixture.push_tokens(20);
      fixture.session->reset();
      fixture.take_all();
    }
    fixture.push_tokens(20);
  }
}

TEST(a_worker_whose_engine_fails_tells_it_and_waits_for_reset) {
  SessionFixture fixture(talk(), SessionFixture::with_flags(GALAGO_SESSION_WORKER));
  fixture.engine->fail_at_chunk = 0;
  fixture.push_tokens(40);
  CHECK_EQ(fixture.session->wait(kHangsMs), GALAGO_OK);
  fixture.take_all();
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FAILED).size(), 1u);
  CHECK_EQ(fixture.session->wait(kHangsMs), GALAGO_EMPTY);
  fixture.session->reset();
  fixture.push_tokens(40);
  fixture.session->end_input();
  while (fixture.session->wait(kHangsMs) == GALAGO_OK) fixture.take_all();
  CHECK(!fixture.of_type(GALAGO_EVENT_FINAL).empty());
}

TEST(a_camera_runs_beside_capture_worker_and_control) {
  constexpr int64_t kNumImages = 3000;
  galago_session_options options = SessionFixture::with_flags(GALAGO_SESSION_WORKER);
  options.event_capacity = 8192;
  ScriptedEye eye;
  SessionFixture fixture(talk(), options, scripted_target(), scripted_ear(), &eye.opened);
  std::thread camera([&] {
    Picture pictures[] = {Picture(30, 20, 255, 0, 0), Picture(20, 30, 0, 0, 255)};
    for (int64_t i = 0; i < kNumImages; ++i) {
      CHECK_EQ(fixture.session->push_image(pictures[i % 2].at(i)), GALAGO_OK);
    }
  });
  std::thread capturing([&] {
    const std::vector<float> block(kBlockSamples, 0.01f);
    for (int64_t i = 0; i < 1000;) {
      const int64_t capture_ns = i * static_cast<int64_t>(kBlockSamples) * kSampleNs;
      const galago_status status =
          fixture.session->push_audio(block.data(), kBlockSamples, capture_ns);
      if (status == GALAGO_OK) ++i;
      if (status == GALAGO_E_FULL) std::this_thread::yield();
    }
  });
  std::thread control([&] {
    while (fixture.session->wait(kHangsMs) == GALAGO_OK) fixture.take_all();
    fixture.take_all();
  });
  camera.join();
  capturing.join();
  fixture.session->end_input();
  control.join();
  const auto seen = fixture.of_type(GALAGO_EVENT_LABELS);
  const galago_metrics metrics = fixture.session->metrics();
  CHECK_EQ(metrics.image_steps, seen.size());
  CHECK_EQ(metrics.image_steps + metrics.replaced_images, static_cast<uint64_t>(kNumImages));
  for (size_t i = 0; i < seen.size(); ++i) {
    // Whole images, each with its own time, and never an older one after a newer.
    CHECK_EQ(seen[i].labels.at(0), seen[i].begin_ns % 2 == 0 ? "red" : "blue");
    if (i > 0) CHECK(seen[i].begin_ns > seen[i - 1].begin_ns);
  }
  CHECK(!seen.empty() && seen.back().begin_ns == kNumImages - 1);
  CHECK(!fixture.of_type(GALAGO_EVENT_FINAL).empty());
}

TEST(wait_times_out_when_nothing_comes) {
  SessionFixture fixture("");
  const auto begin = std::chrono::steady_clock::now();
  CHECK_EQ(fixture.session->wait(30), GALAGO_TIMEOUT);
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(30));
  CHECK_EQ(fixture.session->wait(0), GALAGO_TIMEOUT);
}

TEST(a_wake_function_that_was_removed_is_not_called_again) {
  Waker waker;
  std::atomic<bool> is_done{false};
  std::thread caller([&] {
    while (!is_done.load()) {
      waker.call_wake();
      std::this_thread::yield();  // on one core, the other thread would wait for the end of a slice
    }
  });
  for (int i = 0; i < 2000; ++i) {
    std::atomic<bool> alive{true};
    waker.set_wake(
        [](void* user_data) { CHECK(static_cast<std::atomic<bool>*>(user_data)->load()); }, &alive);
    waker.set_wake(nullptr, nullptr);
    alive.store(false);
  }
  is_done.store(true);
  caller.join();
}
