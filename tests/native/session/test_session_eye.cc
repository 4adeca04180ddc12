// A session that sees: images in, labels out, beside an ear or without one.
#include <algorithm>
#include <limits>

#include "base/status.h"
#include "check.h"
#include "eye/scripted_eye.h"
#include "session/session_fixture.h"

using namespace galago;

namespace {

constexpr int64_t kMs = 1'000'000;

// An ear and an eye.
struct Both {
  explicit Both(const std::string& text = "",
                galago_session_options options = SessionFixture::defaults(),
                const LabelOptions& scores = {1.0f, 0.5f, 0})
      : eye(scores), fixture(text, options, scripted_target(), scripted_ear(), &eye.opened) {}

  galago_status see(Picture* picture, int64_t capture_ns) {
    return fixture.session->push_image(picture->at(capture_ns));
  }
  std::vector<Heard> labels() const { return fixture.of_type(GALAGO_EVENT_LABELS); }

  ScriptedEye eye;
  SessionFixture fixture;
};

struct EyeOnly {
  explicit EyeOnly(galago_session_options options = SessionFixture::defaults())
      : session({nullptr, &eye.opened, nullptr}, options) {}

  ScriptedEye eye;
  Session session;
};

Picture red() { return Picture(32, 24, 255, 0, 0); }
Picture blue() { return Picture(33, 55, 0, 0, 255); }

}  // namespace

TEST(an_image_becomes_labels_at_its_capture_time) {
  Both both;
  Picture picture = red();
  CHECK_EQ(both.see(&picture, 123 * kMs), GALAGO_OK);
  CHECK_EQ(both.fixture.session->wait(0), GALAGO_OK);  // there is a step to do
  CHECK_EQ(both.fixture.session->step(), GALAGO_OK);
  CHECK_EQ(both.fixture.session->step(), GALAGO_EMPTY);
  both.fixture.take_all();
  CHECK_EQ(both.labels().size(), 1u);
  if (both.labels().empty()) return;
  const Heard seen = both.labels()[0];
  CHECK_EQ(seen.begin_ns, 123 * kMs);
  CHECK_EQ(seen.end_ns, 123 * kMs);
  CHECK_EQ(seen.utterance, 0u);
  CHECK_EQ(seen.labels.size(), 3u);
  CHECK_EQ(seen.labels[0], "red");
  CHECK(seen.scores[0] > 0.99f);
  CHECK_EQ(seen.values.size(), 1u);
  CHECK_EQ(seen.values[0], seen.scores[0]);
  const galago_metrics metrics = both.fixture.session->metrics();
  CHECK_EQ(metrics.image_steps, 1u);
  CHECK(metrics.image_busy_ns >= metrics.image_engine_ns);
  CHECK(metrics.image_step_p50_ns > 0);
  CHECK_EQ(metrics.steps, 0u);  // the ear's
  CHECK_EQ(metrics.busy_ns, -1);
}

TEST(below_the_accepted_probability_there_are_no_labels_but_a_score) {
  Both both;
  Picture grey(16, 16, 90, 90, 90);
  both.see(&grey, 0);
  both.fixture.step_all();
  CHECK_EQ(both.labels().size(), 1u);
  if (both.labels().empty()) return;
  CHECK_EQ(both.labels()[0].labels.size(), 0u);
  CHECK_NEAR(both.labels()[0].values.at(0), 1.0 / 3, 1e-3);
}

TEST(labels_are_smoothed_over_images_and_reset_forgets_them) {
  Both both("", SessionFixture::defaults(), {1.0f, 0.0f, 500});
  Picture first = red(), second = blue();
  both.see(&first, 1000 * kMs);
  both.fixture.step_all();
  both.see(&second, 1500 * kMs);
  both.fixture.step_all();
  both.fixture.session->reset();
  both.see(&second, 1600 * kMs);
  both.fixture.step_all();
  CHECK_EQ(both.labels().size(), 3u);
  if (both.labels().size() < 3) return;
  CHECK_NEAR(both.labels()[1].values.at(0), 0.5, 1e-3);
  CHECK_NEAR(both.labels()[2].values.at(0), 1.0, 1e-3);
}

TEST(logits_are_told_on_request_just_before_their_labels) {
  Both both("", SessionFixture::with_flags(GALAGO_SESSION_POSTERIORS));
  Picture picture(16, 16, 255, 51, 0);
  both.see(&picture, 5 * kMs);
  both.fixture.step_all();
  CHECK_EQ(both.fixture.heard.size(), 2u);
  if (both.fixture.heard.size() < 2) return;
  const Heard& logits = both.fixture.heard[0];
  CHECK_EQ(logits.type, GALAGO_EVENT_LOGITS);
  CHECK_EQ(logits.begin_ns, 5 * kMs);
  CHECK_EQ(logits.values.size(), 3u);
  CHECK_NEAR(logits.values[0], 10.0, 1e-4);
  CHECK_NEAR(logits.values[1], 2.0, 1e-4);
  CHECK_NEAR(logits.values[2], 0.0, 1e-4);
  CHECK_EQ(both.fixture.heard[1].type, GALAGO_EVENT_LABELS);
}

TEST(the_newest_image_wins_and_replaced_ones_are_counted) {
  Both both;
  Picture first = red(), second = blue();
  for (int i = 0; i < 9; ++i) CHECK_EQ(both.see(&first, i * kMs), GALAGO_OK);
  CHECK_EQ(both.see(&second, 9 * kMs), GALAGO_OK);
  both.fixture.step_all();
  CHECK_EQ(both.labels().size(), 1u);
  if (!both.labels().empty()) {
    CHECK_EQ(both.labels()[0].labels.at(0), "blue");
    CHECK_EQ(both.labels()[0].begin_ns, 9 * kMs);
  }
  CHECK_EQ(both.fixture.session->metrics().replaced_images, 9u);
  both.see(&first, 10 * kMs);
  both.fixture.step_all();
  CHECK_EQ(both.fixture.session->metrics().replaced_images, 9u);
}

TEST(an_image_is_the_callers_again_when_push_returns) {
  Both both;
  Picture picture = red();
  both.see(&picture, 0);
  std::fill(picture.pixels.begin(), picture.pixels.end(), uint8_t{0});
  picture.pixels.clear();
  both.fixture.step_all();
  CHECK_EQ(both.labels().size(), 1u);
  if (!both.labels().empty()) CHECK_EQ(both.labels()[0].labels.at(0), "red");
}

TEST(audio_comes_first_in_a_step) {
  Both both("....aabb");
  Picture picture = red();
  both.see(&picture, 0);
  both.fixture.push_tokens(9);
  CHECK_EQ(both.fixture.session->step(), GALAGO_OK);
  CHECK_EQ(both.fixture.session->metrics().steps, 1u);
  CHECK_EQ(both.fixture.session->metrics().image_steps, 0u);
  CHECK_EQ(both.fixture.session->step(), GALAGO_OK);
  CHECK_EQ(both.fixture.session->metrics().image_steps, 1u);
  CHECK_EQ(both.fixture.session->step(), GALAGO_EMPTY);
}

TEST(the_end_of_the_input_sees_the_image_that_waits_and_takes_no_more) {
  Both both("....aabb");
  Picture picture = red();
  both.fixture.push_tokens(10);
  both.see(&picture, 0);
  both.fixture.session->end_input();
  CHECK_EQ(both.see(&picture, 1), GALAGO_E_INVALID_STATE);
  while (both.fixture.session->wait(-1) == GALAGO_OK) both.fixture.step_all();
  CHECK_EQ(both.labels().size(), 1u);
  CHECK_EQ(both.fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
  both.fixture.session->reset();
  CHECK_EQ(both.see(&picture, 2), GALAGO_OK);
}

TEST(reset_forgets_the_image_that_waits) {
  Both both;
  Picture picture = red();
  both.see(&picture, 0);
  both.fixture.session->reset();
  both.fixture.step_all();
  CHECK_EQ(both.labels().size(), 0u);
  CHECK_EQ(both.fixture.session->metrics().replaced_images, 0u);
}

TEST(an_eye_alone_hears_nothing_and_says_so) {
  EyeOnly alone;
  const float sample = 0;
  CHECK_EQ(alone.session.push_audio(&sample, 1, 0), GALAGO_E_UNSUPPORTED);
  CHECK(std::strstr(last_error(), "ear") != nullptr);
  CHECK_THROWS(alone.session.set_grammar(nullptr, 0), "no role \"ear\"");
  CHECK_THROWS(alone.session.set_phrases(nullptr, 0), "no role \"ear\"");
  CHECK_THROWS(alone.session.set_hotwords({}), "no role \"ear\"");
  const galago_session_info info = alone.session.info();
  CHECK_EQ(info.input_sample_rate_hz, 0);
  CHECK_EQ(info.chunk_samples, 0);
  CHECK_EQ(info.image_width, 8);
  CHECK_EQ(info.image_height, 6);
  Picture picture = red();
  CHECK_EQ(alone.session.push_image(picture.at(0)), GALAGO_OK);
  CHECK_EQ(alone.session.step(), GALAGO_OK);
  galago_event event;
  CHECK_EQ(alone.session.next_event(&event), GALAGO_OK);
  CHECK_EQ(event.type, GALAGO_EVENT_LABELS);
  CHECK_EQ(std::string(event.labels[0].name), "red");
  CHECK(event.labels[0].value == nullptr);
  alone.session.end_input();
  CHECK_EQ(alone.session.wait(-1), GALAGO_OK);
  CHECK_EQ(alone.session.step(), GALAGO_EMPTY);
  CHECK_EQ(alone.session.wait(-1), GALAGO_EMPTY);
}

TEST(an_ear_alone_sees_nothing_and_says_so) {
  SessionFixture fixture("");
  Picture picture = red();
  CHECK_EQ(fixture.session->push_image(picture.at(0)), GALAGO_E_UNSUPPORTED);
  CHECK(std::strstr(last_error(), "eye") != nullptr);
}

TEST(a_wrong_image_is_refused_and_the_one_that_waits_stays) {
  Both both;
  Picture picture = red();
  both.see(&picture, 0);
  galago_image wrong = picture.at(1);
  wrong.row_stride_bytes[0] = 5;
  CHECK_EQ(both.fixture.session->push_image(wrong), GALAGO_E_INVALID_ARGUMENT);
  wrong = picture.at(1);
  wrong.width = std::numeric_limits<int32_t>::max();
  CHECK_EQ(both.fixture.session->push_image(wrong), GALAGO_E_INVALID_ARGUMENT);
  both.fixture.step_all();
  CHECK_EQ(both.labels().size(), 1u);
}

TEST(an_eye_that_fails_does_not_keep_the_ear_from_hearing) {
  for (bool nan : {false, true}) {
    Both both("....aabb................................");
    (nan ? both.eye.engine->nan_at_image : both.eye.engine->fail_at_image) = 0;
    Picture picture = red();
    both.see(&picture, 77 * kMs);
    CHECK_EQ(both.fixture.session->step(), GALAGO_E_BACKEND);
    CHECK_EQ(both.see(&picture, 78 * kMs), GALAGO_E_INVALID_STATE);
    both.fixture.run_tokens(40);
    both.fixture.end();
    CHECK_EQ(both.fixture.session->wait(-1), GALAGO_EMPTY);
    const auto failures = both.fixture.of_type(GALAGO_EVENT_FAILED);
    CHECK_EQ(failures.size(), 1u);
    if (!failures.empty()) {
      CHECK_EQ(failures[0].labels.at(0), "eye");
      CHECK_EQ(failures[0].begin_ns, 77 * kMs);
      CHECK_EQ(failures[0].status, GALAGO_E_BACKEND);
    }
    CHECK_EQ(both.fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
    both.fixture.session->reset();
    both.see(&picture, 79 * kMs);
    both.fixture.step_all();
    CHECK_EQ(both.labels().size(), 1u);
  }
}

TEST(an_ear_that_fails_does_not_keep_the_eye_from_seeing) {
  Both both("....aabb");
  both.fixture.engine->fail_at_chunk = 0;
  both.fixture.push_tokens(20);
  Picture picture = red();
  both.see(&picture, 0);
  CHECK_EQ(both.fixture.session->step(), GALAGO_E_BACKEND);
  CHECK_EQ(both.fixture.push(1), GALAGO_E_INVALID_STATE);
  both.fixture.step_all();
  CHECK_EQ(both.labels().size(), 1u);
  both.eye.engine->fail_at_image = 1;
  both.see(&picture, 1);
  CHECK_EQ(both.fixture.session->step(), GALAGO_E_BACKEND);
  CHECK_THROWS(both.fixture.session->step(), "reset");  // nothing is left
  both.fixture.take_all();
  CHECK_EQ(both.fixture.of_type(GALAGO_EVENT_FAILED).size(), 2u);
  CHECK_EQ(both.fixture.session->wait(-1), GALAGO_EMPTY);
}

TEST(labels_that_nobody_takes_do_not_push_finals_out) {
  galago_session_options options = SessionFixture::with_flags(GALAGO_SESSION_NO_PARTIALS);
  options.event_capacity = 4;
  Both both("....aabb................................", options);
  both.fixture.push_tokens(40);
  while (both.fixture.session->step() == GALAGO_OK) {
  }
  Picture picture = red();
  for (int i = 0; i < 50; ++i) {
    both.see(&picture, i * kMs);
    CHECK_EQ(both.fixture.session->step(), GALAGO_OK);
  }
  both.fixture.take_all();
  CHECK_EQ(both.fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
  CHECK_EQ(both.labels().size(), 1u);
  CHECK_EQ(both.labels().at(0).begin_ns, 49 * kMs);
}

TEST(a_worker_wakes_for_an_image) {
  EyeOnly alone(SessionFixture::with_flags(GALAGO_SESSION_WORKER));
  Picture picture = red();
  for (int i = 0; i < 100; ++i) {
    CHECK_EQ(alone.session.push_image(picture.at(i)), GALAGO_OK);
    CHECK_EQ(alone.session.wait(20'000), GALAGO_OK);
    galago_event event;
    CHECK_EQ(alone.session.next_event(&event), GALAGO_OK);
    CHECK_EQ(event.begin_ns, i);
  }
  alone.session.end_input();
  CHECK_EQ(alone.session.wait(20'000), GALAGO_EMPTY);
}

TEST(the_end_of_a_stream_without_input_wakes_who_waits_for_a_worker) {
  for (int i = 0; i < 50; ++i) {
    EyeOnly alone(SessionFixture::with_flags(GALAGO_SESSION_WORKER));
    alone.session.end_input();
    CHECK_EQ(alone.session.wait(20'000), GALAGO_EMPTY);
  }
}
