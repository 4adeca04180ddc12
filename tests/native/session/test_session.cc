// A session over a scripted engine: what the header promises about one stream on one thread.
#include <cmath>
#include <limits>

#include "base/status.h"
#include "check.h"
#include "session/session_fixture.h"

using namespace galago;

TEST(speech_becomes_voice_partials_and_one_final_with_capture_times) {
  SessionFixture fixture("....aa~bb_~ccc......................");
  fixture.run_tokens(48);
  fixture.end();
  const auto starts = fixture.of_type(GALAGO_EVENT_VOICE_START);
  const auto stops = fixture.of_type(GALAGO_EVENT_VOICE_STOP);
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  CHECK_EQ(starts.size(), 1u);
  CHECK_EQ(stops.size(), 1u);
  CHECK_EQ(finals.size(), 1u);
  if (finals.empty() || starts.empty()) return;
  CHECK_EQ(starts[0].begin_ns, 7'000'000'000 + 4 * kTokenNs);
  CHECK_EQ(finals[0].text, "ab c");
  CHECK_EQ(finals[0].words.size(), 2u);
  CHECK_EQ(finals[0].words[0], "ab");
  CHECK_EQ(finals[0].word_begins_ns[0], 7'000'000'000 + 4 * kTokenNs);
  CHECK_EQ(finals[0].word_begins_ns[1], 7'000'000'000 + 11 * kTokenNs);
  CHECK_EQ(finals[0].end_ns, 7'000'000'000 + 14 * kTokenNs);
  CHECK_EQ(finals[0].stable_bytes, 4u);
  CHECK_EQ(finals[0].utterance, 1u);
  CHECK(fixture.of_type(GALAGO_EVENT_PARTIAL).size() >= 1);
  for (size_t i = 0; i < fixture.heard.size(); ++i) CHECK_EQ(fixture.heard[i].sequence, i + 1);
}

TEST(a_stable_prefix_is_kept_by_every_later_text_of_its_utterance) {
  SessionFixture fixture("....ab_~ab_~c~a_~b_~aba_ccb........................");
  fixture.run_tokens(64);
  std::string stable;
  for (const Heard& one : fixture.heard) {
    if (one.type != GALAGO_EVENT_PARTIAL && one.type != GALAGO_EVENT_FINAL) continue;
    CHECK_EQ(one.text.substr(0, stable.size()), stable);
    stable = one.text.substr(0, one.stable_bytes);
  }
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
}

TEST(silence_has_no_events) {
  SessionFixture fixture("");
  fixture.run_tokens(400);
  fixture.end();
  CHECK_EQ(fixture.heard.size(), 0u);
}

TEST(voice_without_a_word_has_no_final) {
  SessionFixture fixture("....~~~~~~~~....................");
  fixture.run_tokens(48);
  fixture.end();
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_VOICE_START).size(), 1u);
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 0u);
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_PARTIAL).size(), 0u);
}

TEST(letters_outside_of_voice_are_not_decoded) {
  Ear ear = scripted_ear();
  SessionFixture fixture("", SessionFixture::defaults(), scripted_target(), ear);
  fixture.engine->script.assign(32, ScriptedToken{0, 2});  // the token head hallucinates in silence
  fixture.run_tokens(48);
  fixture.end();
  CHECK_EQ(fixture.heard.size(), 0u);
}

TEST(keep_is_0_on_the_first_step_after_open_reset_and_gap_only) {
  SessionFixture fixture("");
  fixture.engine->records = true;
  fixture.run_tokens(32);
  fixture.session->reset();
  fixture.run_tokens(32);
  fixture.next_ns += 1'000'000'000;
  fixture.run_tokens(32);
  const std::vector<float>& keeps = fixture.engine->keeps;
  // 3 chunks of 4 fit before the context of the last one; the gap pads that one.
  const std::vector<float> expected = {0, 1, 1, 0, 1, 1, 1, 0, 1, 1};
  CHECK_EQ(keeps.size(), expected.size());
  for (size_t i = 0; i < std::min(keeps.size(), expected.size()); ++i) {
    CHECK_EQ(keeps[i], expected[i]);
  }
}

TEST(a_gap_finalises_the_utterance_before_it_and_restarts_the_clock) {
  SessionFixture fixture("....aabb");
  fixture.run_tokens(10);
  const int64_t gap_begin_ns = fixture.next_ns;
  fixture.next_ns += 500'000'000;
  const int64_t gap_end_ns = fixture.next_ns;
  fixture.run_tokens(40);
  const auto gaps = fixture.of_type(GALAGO_EVENT_GAP);
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  CHECK_EQ(gaps.size(), 1u);
  CHECK_EQ(finals.size(), 2u);
  if (gaps.empty() || finals.size() < 2) return;
  CHECK_EQ(gaps[0].begin_ns, gap_begin_ns);
  CHECK_EQ(gaps[0].end_ns, gap_end_ns);
  CHECK(finals[0].sequence < gaps[0].sequence);
  CHECK_EQ(finals[0].text, "ab");
  CHECK_EQ(finals[1].begin_ns, gap_end_ns + 4 * kTokenNs);
  CHECK_EQ(finals[1].utterance, 2u);
  CHECK_EQ(fixture.session->metrics().gaps, 1u);
}

TEST(jitter_of_the_capture_thread_is_no_gap) {
  SessionFixture fixture("");
  const std::vector<float> samples(320);
  for (int i = 0; i < 200; ++i) {
    const int64_t jitter_ns = (i * 7919 % 31 - 15) * 1'000'000;
    CHECK_EQ(fixture.session->push_audio(samples.data(), 320,
                                         1'000'000'000 + i * 20'000'000LL + jitter_ns),
             GALAGO_OK);
    fixture.step_all();
  }
  CHECK_EQ(fixture.session->metrics().gaps, 0u);
}

TEST(a_sample_that_is_not_finite_is_refused_by_its_index_and_nothing_is_taken) {
  SessionFixture fixture("");
  std::vector<float> samples(640, 0.1f);
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()}) {
    samples[123] = bad;
    CHECK_EQ(fixture.session->push_audio(samples.data(), samples.size(), 0),
             GALAGO_E_INVALID_ARGUMENT);
    CHECK(std::strstr(last_error(), "sample 123 is not finite") != nullptr);
  }
  samples[123] = 20000.0f;  // an int16 that nobody scaled
  CHECK_EQ(fixture.session->push_audio(samples.data(), samples.size(), 0),
           GALAGO_E_INVALID_ARGUMENT);
  CHECK(std::strstr(last_error(), "sample 123") != nullptr);
  CHECK_EQ(fixture.session->metrics().input_samples, 0u);
  CHECK_EQ(fixture.session->step(), GALAGO_EMPTY);
}

TEST(strange_arguments_of_push_audio_are_refused) {
  SessionFixture fixture("");
  const float sample = 0.0f;
  CHECK_EQ(fixture.session->push_audio(nullptr, 0, 0), GALAGO_OK);
  CHECK_EQ(fixture.session->push_audio(&sample, 0, -5), GALAGO_OK);
  CHECK_EQ(fixture.session->push_audio(nullptr, 1, 0), GALAGO_E_INVALID_ARGUMENT);
  CHECK_EQ(fixture.session->push_audio(&sample, 1, -1), GALAGO_E_INVALID_ARGUMENT);
  CHECK_EQ(fixture.session->push_audio(&sample, 1, std::numeric_limits<int64_t>::max()),
           GALAGO_E_INVALID_ARGUMENT);
  CHECK_EQ(fixture.session->push_audio(&sample, size_t{1} << 40, 0), GALAGO_E_INVALID_ARGUMENT);
}

TEST(a_full_ring_takes_nothing_and_says_so) {
  SessionFixture fixture("");
  CHECK_EQ(fixture.push(32000), GALAGO_OK);  // 2000 ms, the default capacity
  CHECK_EQ(fixture.push(1), GALAGO_E_FULL);
  CHECK_EQ(fixture.session->metrics().refused_samples, 1u);
  CHECK_EQ(fixture.session->metrics().input_samples, 32000u);
  CHECK_EQ(fixture.session->step(), GALAGO_OK);
  CHECK_EQ(fixture.push(5120), GALAGO_OK);
  CHECK_EQ(fixture.session->metrics().gaps, 0u);  // what was refused is not missing: it came later
}

TEST(how_audio_is_cut_into_pushes_changes_nothing) {
  std::vector<float> audio(16000 * 2);
  uint32_t seed = 1;
  for (float& sample : audio) {
    seed = seed * 1664525u + 1013904223u;
    sample = static_cast<float>(seed >> 8) / (1 << 24) - 0.5f;
  }
  std::vector<float> first;
  for (size_t block : {size_t{32000}, size_t{1}, size_t{160}, size_t{333}, size_t{5120}}) {
    SessionFixture fixture("");
    fixture.engine->records = true;
    for (size_t i = 0; i < audio.size(); i += block) {
      const size_t n = std::min(block, audio.size() - i);
      CHECK_EQ(
          fixture.session->push_audio(audio.data() + i, n, static_cast<int64_t>(i) * kSampleNs),
          GALAGO_OK);
      if (i % 7 == 0 || block > 1000) fixture.step_all();
    }
    fixture.end();
    if (first.empty()) first = fixture.engine->features;
    CHECK_EQ(fixture.engine->features.size(), first.size());
    CHECK(fixture.engine->features == first);
  }
  // 32000 samples are 50 tokens: 7 chunks of 8.
  CHECK_EQ(first.size(), size_t{7} * 32 * 80);
}

TEST(end_input_decodes_the_tail_and_then_nothing_more_comes) {
  SessionFixture fixture("....aabbcc");
  fixture.push_tokens(10);
  CHECK_EQ(fixture.session->step(), GALAGO_OK);
  CHECK_EQ(fixture.session->step(), GALAGO_EMPTY);
  CHECK_EQ(fixture.session->end_input(), GALAGO_OK);
  CHECK_EQ(fixture.session->wait(-1), GALAGO_OK);
  fixture.step_all();
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  CHECK_EQ(finals.size(), 1u);
  if (!finals.empty()) CHECK_EQ(finals[0].text, "abc");
  CHECK_EQ(fixture.session->wait(-1), GALAGO_EMPTY);
  CHECK_EQ(fixture.session->step(), GALAGO_EMPTY);
  CHECK_EQ(fixture.push(1), GALAGO_E_INVALID_STATE);
  fixture.session->reset();
  CHECK_EQ(fixture.push(1), GALAGO_OK);
  CHECK_EQ(fixture.session->wait(1), GALAGO_TIMEOUT);
}

TEST(end_input_without_any_input_is_the_end_at_once) {
  SessionFixture fixture("aaaa");
  fixture.end();
  CHECK_EQ(fixture.heard.size(), 0u);
  CHECK_EQ(fixture.session->wait(-1), GALAGO_EMPTY);
}

TEST(posteriors_are_told_row_by_row_without_the_lookahead) {
  for (int lookahead : {0, 3, 8, 11}) {
    SessionFixture fixture("....aabb", SessionFixture::with_flags(GALAGO_SESSION_POSTERIORS),
                           scripted_target(8, lookahead));
    fixture.push_tokens(24);
    fixture.step_all();
    fixture.end();
    int64_t token = 0;
    for (const Heard& one : fixture.of_type(GALAGO_EVENT_POSTERIORS)) {
      CHECK_EQ(one.begin_ns, 7'000'000'000 + token * kTokenNs);
      CHECK_EQ(one.values.size() % 9, 0u);
      for (size_t row = 0; row < one.values.size() / 9; ++row, ++token) {
        const int phone = token >= 4 && token < 6 ? 1 : token >= 6 && token < 8 ? 2 : 0;
        CHECK_NEAR(std::exp(one.values[row * 9 + static_cast<size_t>(phone)]), 0.98, 1e-4);
      }
    }
    CHECK(token >= 24);
    const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
    CHECK_EQ(finals.size(), 1u);
    if (!finals.empty()) CHECK_EQ(finals[0].begin_ns, 7'000'000'000 + 4 * kTokenNs);
  }
}

TEST(an_engine_that_fails_fails_the_session_until_reset) {
  for (bool nan : {false, true}) {
    SessionFixture fixture("....aabb");
    (nan ? fixture.engine->nan_at_chunk : fixture.engine->fail_at_chunk) = 1;
    fixture.push_tokens(32);
    CHECK_EQ(fixture.session->step(), GALAGO_OK);
    CHECK_EQ(fixture.session->step(), GALAGO_E_BACKEND);
    CHECK_THROWS(fixture.session->step(), "reset");
    CHECK_EQ(fixture.push(1), GALAGO_E_INVALID_STATE);
    fixture.take_all();
    const auto failures = fixture.of_type(GALAGO_EVENT_FAILED);
    CHECK_EQ(failures.size(), 1u);
    if (!failures.empty()) {
      CHECK_EQ(failures[0].status, GALAGO_E_BACKEND);
      CHECK(!failures[0].text.empty());
    }
    CHECK_EQ(fixture.session->wait(-1), GALAGO_EMPTY);
    fixture.session->reset();
    fixture.heard.clear();
    fixture.run_tokens(40);
    CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
  }
}

TEST(an_utterance_longer_than_the_limit_is_finalised) {
  galago_session_options options = SessionFixture::defaults();
  options.max_utterance_ms = 1000;
  std::string text;
  for (int i = 0; i < 40; ++i) text += "a~b_";
  SessionFixture fixture(text, options);
  fixture.run_tokens(160);
  fixture.end();
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  CHECK(finals.size() >= 6);
  for (const Heard& one : finals) CHECK(one.end_ns - one.begin_ns <= 1'100'000'000);
}

// The voice ends with token 8; 480 ms later, with token 20, the utterance may end. Chunks end with
// tokens 8, 16 and 24, so that the last rows are not known by then.
galago_session_options ending_within_a_chunk() {
  galago_session_options options = SessionFixture::defaults();
  options.endpoint_silence_ms = 480;
  return options;
}

TEST(an_utterance_ends_on_time_although_its_chunk_is_not_full) {
  SessionFixture fixture("....aabb", ending_within_a_chunk());
  fixture.push(20 * kTokenSamples - 1);
  fixture.step_all();
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 0u);
  fixture.push(1);
  CHECK_EQ(fixture.session->wait(0), GALAGO_OK);  // there is a step to do
  fixture.step_all();
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  CHECK_EQ(finals.size(), 1u);
  if (finals.empty()) return;
  CHECK_EQ(finals[0].text, "ab");
  CHECK_EQ(finals[0].end_ns, 7'000'000'000 + 8 * kTokenNs);
  fixture.run_tokens(64);
  fixture.end();
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
}

TEST(an_utterance_does_not_end_within_a_chunk_while_something_sounds) {
  SessionFixture fixture("....aabb", ending_within_a_chunk());
  fixture.push(19 * kTokenSamples);
  const std::vector<float> sound(kTokenSamples, 0.05f);
  CHECK_EQ(fixture.session->push_audio(sound.data(), sound.size(), fixture.next_ns), GALAGO_OK);
  fixture.next_ns += kTokenNs;
  fixture.step_all();
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 0u);
  fixture.push(4 * kTokenSamples);  // the chunk is full but for its context
  fixture.step_all();
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 0u);
  fixture.push(240);
  fixture.step_all();  // its rows say that it was no speech
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
}

// The same with a lookahead of 4 tokens and a voice that ends with token 7: when token 20 comes,
// the rows end with token 12, and of the tokens from there on only the level is known.
galago_session_options ending_within_a_lookahead() {
  galago_session_options options = SessionFixture::defaults();
  options.endpoint_silence_ms = 520;
  return options;
}

TEST(a_lookahead_does_not_keep_an_utterance_from_ending_on_time) {
  SessionFixture fixture("...aabb", ending_within_a_lookahead(), scripted_target(8, 4));
  fixture.push(20 * kTokenSamples - 1);
  fixture.step_all();
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 0u);
  fixture.push(1);
  fixture.step_all();
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  CHECK_EQ(finals.size(), 1u);
  if (finals.empty()) return;
  CHECK_EQ(finals[0].text, "ab");
  CHECK_EQ(finals[0].end_ns, 7'000'000'000 + 7 * kTokenNs);
  fixture.run_tokens(64);
  fixture.end();
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
}

TEST(what_sounds_within_a_lookahead_keeps_an_utterance_open) {
  SessionFixture fixture("...aabb", ending_within_a_lookahead(), scripted_target(8, 4));
  fixture.push(14 * kTokenSamples);
  std::vector<float> sound(kTokenSamples, 0.0f);
  std::fill(sound.end() - 160, sound.end(), 0.001f);  // a faint onset, 10 ms long
  CHECK_EQ(fixture.session->push_audio(sound.data(), sound.size(), fixture.next_ns), GALAGO_OK);
  fixture.next_ns += kTokenNs;
  fixture.push(6 * kTokenSamples);
  fixture.step_all();
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 0u);
  fixture.run_tokens(16);  // their rows say that it was no speech
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
}

TEST(flags_choose_what_is_told) {
  SessionFixture fixture(
      "....aab~bb..................",
      SessionFixture::with_flags(GALAGO_SESSION_NO_PARTIALS | GALAGO_SESSION_BEAM));
  fixture.run_tokens(40);
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_PARTIAL).size(), 0u);
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  CHECK_EQ(finals.size(), 1u);
  if (!finals.empty()) CHECK_EQ(finals[0].text, "abb");
}

TEST(options_out_of_range_are_refused_by_name) {
  galago_session_options options = SessionFixture::defaults();
  options.flags = 1u << 30;
  CHECK_THROWS(SessionFixture("", options), "flags");
  options = SessionFixture::defaults();
  options.max_utterance_ms = 10;
  CHECK_THROWS(SessionFixture("", options), "max_utterance_ms");
  options = SessionFixture::defaults();
  options.event_capacity = 1u << 31;
  CHECK_THROWS(SessionFixture("", options), "event_capacity");
  options = SessionFixture::defaults();
  options.input_capacity_ms = 0xFFFFFFFFu;
  CHECK_THROWS(SessionFixture("", options), "input_capacity_ms");
}

TEST(a_full_event_queue_drops_partials_first_and_leaves_a_hole) {
  galago_session_options options = SessionFixture::defaults();
  options.event_capacity = 4;
  std::string text = "....";
  for (int i = 0; i < 16; ++i) text += "a~~~b~~~";
  SessionFixture fixture(text, options);
  for (int i = 0; i < 30; ++i) {
    fixture.push_tokens(8);
    while (fixture.session->step() == GALAGO_OK) {
    }
  }
  fixture.take_all();
  CHECK_EQ(fixture.heard.size(), 4u);
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_VOICE_START).size(), 1u);
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
  CHECK_EQ(fixture.heard[0].sequence, 1u);
  CHECK(fixture.heard[1].sequence > 2);
}

TEST(reset_is_as_if_just_opened) {
  SessionFixture fixture("....aabb........................");
  fixture.run_tokens(40);
  const std::vector<Heard> first = fixture.heard;
  fixture.session->reset();
  CHECK_EQ(fixture.session->metrics().steps, 0u);
  CHECK_EQ(fixture.session->metrics().step_p50_ns, -1);
  fixture.heard.clear();
  fixture.next_ns = 7'000'000'000;
  fixture.run_tokens(40);
  CHECK_EQ(fixture.heard.size(), first.size());
  for (size_t i = 0; i < std::min(first.size(), fixture.heard.size()); ++i) {
    CHECK_EQ(fixture.heard[i].sequence, first[i].sequence);
    CHECK_EQ(fixture.heard[i].utterance, first[i].utterance);
    CHECK_EQ(fixture.heard[i].begin_ns, first[i].begin_ns);
    CHECK_EQ(fixture.heard[i].text, first[i].text);
  }
}

TEST(metrics_count_what_happened) {
  SessionFixture fixture("....aabb........................");
  fixture.next_ns = 0;  // latency counts from here: the machine may have started seconds ago
  galago_metrics metrics = fixture.session->metrics();
  CHECK_EQ(metrics.busy_ns, -1);
  CHECK_EQ(metrics.final_latency_ns, -1);
  CHECK(metrics.peak_bytes > 100'000);
  fixture.run_tokens(40);
  metrics = fixture.session->metrics();
  CHECK_EQ(metrics.steps, 4u);
  CHECK_EQ(metrics.input_samples, 40u * kTokenSamples);
  CHECK(metrics.engine_ns > 0);
  CHECK(metrics.busy_ns > metrics.engine_ns);
  CHECK(metrics.step_p50_ns > 0);
  CHECK(metrics.step_p99_ns >= metrics.step_p50_ns);
  CHECK(metrics.final_latency_ns > 0);
  CHECK(metrics.partial_latency_ns > 0);
}

TEST(hotwords_act_at_once) {
  Ear ear = scripted_ear();
  SessionFixture fixture("....aaa~bbb.......................");
  fixture.session->set_hotwords({{"ab", 1.0f}, {"abc", 0.0f}});
  fixture.run_tokens(40);
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
  CHECK_THROWS(fixture.session->set_hotwords({{"xyz", 1.0f}}), "xyz");
  fixture.session->set_hotwords({});
}

TEST(info_tells_the_shape_of_the_stream) {
  SessionFixture fixture("", SessionFixture::defaults(), scripted_target(4, 2));
  const galago_session_info info = fixture.session->info();
  CHECK_EQ(info.input_sample_rate_hz, 16000);
  CHECK_EQ(info.chunk_samples, 2560);
  CHECK_EQ(info.lookahead_samples, 1280);
  CHECK_EQ(info.left_context_samples, 32 * 640);
  CHECK_EQ(info.image_width, 0);
}
