// A session whose second pass is another network, which hears samples as they are: the first one
// goes on as if it were alone, and what is final is of the second.
#include <algorithm>
#include <utility>

#include "base/sha256.h"
#include "check.h"
#include "decoding/automaton_builder.h"
#include "session/session_fixture.h"

using namespace galago;

namespace {

// The voice begins at token 20. An utterance reaches 200 ms (five tokens) back, and the second pass
// 16 tokens before it: to the stream's begin, with which both scripts begin.
constexpr const char* kFirst = "....................ccaa~bb......................";
constexpr const char* kSecond = "....................bbaa~cc......................";
constexpr size_t kSecondBegin = 0;
// The voice ends before token 27, and 600 ms later the utterance.
constexpr size_t kEndToken = 42;

// Even noise, so that waiting samples are as silent as those before them.
std::vector<float> noise(size_t num_tokens) {
  std::vector<float> samples(num_tokens * kTokenSamples);
  uint32_t state = 1;
  for (float& sample : samples) {
    state = state * 1664525u + 1013904223u;
    sample = 0.02f * (static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5f);
  }
  return samples;
}

// Pushes `block` samples at a time and steps; answers how many there were at the first final.
size_t run_samples(SessionFixture* fixture, const std::vector<float>& samples, size_t block) {
  size_t num_at_final = 0;
  for (size_t at = 0; at < samples.size(); at += block) {
    const size_t count = std::min(block, samples.size() - at);
    fixture->session->push_audio(samples.data() + at, count, fixture->next_ns);
    fixture->next_ns += static_cast<int64_t>(count) * kSampleNs;
    fixture->step_all();
    if (num_at_final == 0 && !fixture->of_type(GALAGO_EVENT_FINAL).empty())
      num_at_final = at + count;
  }
  return num_at_final;
}

// What chunks from begin_token on hear, if end_token is the last that was heard before them: the
// samples, and then zeros.
std::vector<float> heard_chunks(const std::vector<float>& samples, size_t begin_token,
                                size_t end_token, size_t num_tokens) {
  std::vector<float> heard(samples.begin() + static_cast<ptrdiff_t>(begin_token * kTokenSamples),
                           samples.begin() + static_cast<ptrdiff_t>(end_token * kTokenSamples));
  heard.resize(num_tokens * kTokenSamples, 0.0f);
  return heard;
}

std::string final_text(SessionFixture* fixture, size_t num_tokens = 64) {
  fixture->run_tokens(num_tokens);
  const auto finals = fixture->of_type(GALAGO_EVENT_FINAL);
  return finals.size() == 1 ? finals[0].text : std::to_string(finals.size()) + " finals";
}

}  // namespace

TEST(finals_are_of_the_second_network_and_partials_of_the_first) {
  SessionFixture fixture(kFirst);
  fixture.look_twice_by(raw_network(), raw_target(48), kSecond);
  CHECK_EQ(final_text(&fixture), "bac");
  const auto partials = fixture.of_type(GALAGO_EVENT_PARTIAL);
  CHECK(std::any_of(partials.begin(), partials.end(),
                    [](const Heard& partial) { return partial.text == "cab"; }));
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  if (finals.empty()) return;
  CHECK_EQ(finals[0].word_begins_ns[0], 7'000'000'000 + 20 * kTokenNs);
  CHECK_EQ(finals[0].end_ns, 7'000'000'000 + 27 * kTokenNs);
}

TEST(the_second_network_hears_the_samples_of_the_utterance_and_then_zeros) {
  const std::vector<float> samples = noise(64);
  for (const size_t block : {size_t{160}, size_t{1000}, 8 * kTokenSamples, samples.size() / 2}) {
    SessionFixture fixture(kFirst);
    fixture.look_twice_by(raw_network(), raw_target(12), kSecond);
    fixture.second_engine->records = true;
    run_samples(&fixture, samples, block);
    CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
    // The first pass steps by 8 tokens, and 40 were heard when the utterance ended.
    CHECK(fixture.second_engine->features == heard_chunks(samples, kSecondBegin, 40, 48));
    CHECK(fixture.second_engine->keeps == (std::vector<float>{0.0f, 1.0f, 1.0f, 1.0f}));
  }
}

TEST(of_the_utterance_before_the_second_network_hears_no_more_than_the_least) {
  // The first ends before token 42; the second voice begins at 50, its utterance at 45.
  const std::vector<float> samples = noise(112);
  SessionFixture fixture(std::string(kFirst).substr(0, 27) + std::string(23, '.') + "ccaabb" +
                         std::string(56, '.'));
  fixture.look_twice_by(raw_network(), raw_target(12), kSecond);
  fixture.second_engine->records = true;
  run_samples(&fixture, samples, 160);
  const std::vector<float>& keeps = fixture.second_engine->keeps;
  CHECK_EQ(std::count(keeps.begin(), keeps.end(), 0.0f), 2);
  const auto again = std::find(keeps.begin() + 1, keeps.end(), 0.0f) - keeps.begin();
  const auto heard = fixture.second_engine->features.begin() +
                     static_cast<ptrdiff_t>(again) * 12 * static_cast<ptrdiff_t>(kTokenSamples);
  const auto begin = samples.begin() + static_cast<ptrdiff_t>(41 * kTokenSamples);
  CHECK(std::equal(begin, begin + static_cast<ptrdiff_t>(12 * kTokenSamples), heard));
}

TEST(frames_may_be_shorter_than_tokens) {
  const std::vector<float> samples = noise(64);
  EarNetwork network = raw_network(320);
  network.subsampling_factor = 2;
  EarTarget target = raw_target(12);
  target.chunk_frames = 24;
  SessionFixture fixture(kFirst);
  fixture.look_twice_by(network, target, kSecond);
  fixture.second_engine->records = true;
  run_samples(&fixture, samples, 160);
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
  CHECK(fixture.second_engine->features == heard_chunks(samples, kSecondBegin, 40, 48));
}

TEST(the_first_pass_goes_on_as_if_it_were_alone) {
  const std::vector<float> samples = noise(64);
  SessionFixture alone(kFirst);
  SessionFixture fixture(kFirst);
  fixture.look_twice_by(raw_network(), raw_target(12), kSecond);
  for (SessionFixture* one : {&alone, &fixture}) {
    one->engine->records = true;
    run_samples(one, samples, 160);
  }
  CHECK(fixture.engine->features == alone.engine->features);
  for (const uint32_t type : {GALAGO_EVENT_VOICE_START, GALAGO_EVENT_VOICE_STOP}) {
    const auto with = fixture.of_type(type), without = alone.of_type(type);
    CHECK_EQ(with.size(), 1u);
    CHECK_EQ(without.size(), 1u);
    if (with.empty() || without.empty()) continue;
    CHECK_EQ(with[0].begin_ns, without[0].begin_ns);
    CHECK_EQ(with[0].end_ns, without[0].end_ns);
  }
}

TEST(the_second_network_does_nothing_in_silence_or_where_one_pass_is_asked_for) {
  SessionFixture silent("");
  silent.look_twice_by(raw_network(), raw_target(12), kSecond);
  silent.second_engine->records = true;
  silent.run_tokens(200);
  CHECK(silent.second_engine->keeps.empty());

  SessionFixture fixture(kFirst);
  fixture.look_twice_by(raw_network(), raw_target(12), kSecond,
                        SessionFixture::with_flags(GALAGO_SESSION_ONE_PASS));
  fixture.second_engine->records = true;
  CHECK_EQ(final_text(&fixture), "cab");
  CHECK(fixture.second_engine->keeps.empty());
}

TEST(a_click_is_heard_by_the_second_network_before_the_chunk_is_full) {
  std::vector<float> samples = noise(64);
  const size_t click = (kEndToken - 1) * kTokenSamples + 100;
  std::fill_n(samples.begin() + static_cast<ptrdiff_t>(click), 160, 0.3f);
  // One of 41 tokens ends where the last of the waiting tokens begins.
  for (const int chunk_tokens : {1, 2, 9, 10, 12, 15, 24, 41, 48}) {
    SessionFixture fixture(kFirst);
    fixture.look_twice_by(raw_network(), raw_target(chunk_tokens), kSecond);
    fixture.second_engine->records = true;
    CHECK_EQ(run_samples(&fixture, samples, 160), kEndToken * kTokenSamples);
    const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
    CHECK(finals.size() == 1 && finals[0].text == "bac");
    // All whole tokens that waited: no window reaches beyond them.
    const auto chunk = static_cast<size_t>(chunk_tokens);
    const size_t num_chunks = (kEndToken - kSecondBegin + chunk - 1) / chunk;
    CHECK(fixture.second_engine->features ==
          heard_chunks(samples, kSecondBegin, kEndToken, num_chunks * chunk));
  }
}

TEST(a_click_that_is_a_voice_to_the_second_network_leaves_no_trace) {
  std::vector<float> samples = noise(80);
  std::fill_n(samples.begin() + static_cast<ptrdiff_t>((kEndToken - 2) * kTokenSamples), 160, 0.3f);
  for (const int chunk_tokens : {30, 48}) {
    SessionFixture fixture("....................ccaa~bb.............ccaabb.......................");
    fixture.look_twice_by(raw_network(), raw_target(chunk_tokens),
                          "....................bbaa~cc.............aabbaa.......................");
    fixture.second_engine->records = true;
    CHECK(run_samples(&fixture, samples, 160) > kEndToken * kTokenSamples);
    const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
    CHECK_EQ(finals.size(), 1u);
    if (!finals.empty()) CHECK_EQ(finals[0].text, "bacaba");
    // Looked ahead once, as far as the click, then run again from the begin until token 56.
    const auto chunk = static_cast<size_t>(chunk_tokens);
    const auto num_tokens = [chunk](size_t end) {
      return (end - kSecondBegin + chunk - 1) / chunk * chunk;
    };
    const std::vector<float>& keeps = fixture.second_engine->keeps;
    CHECK_EQ(std::count(keeps.begin(), keeps.end(), 0.0f), 2);
    const size_t num_ahead = num_tokens(kEndToken) * kTokenSamples;
    const std::vector<float>& features = fixture.second_engine->features;
    CHECK(features.size() > num_ahead);
    if (features.size() <= num_ahead) continue;
    const std::vector<float> second_run(features.begin() + static_cast<ptrdiff_t>(num_ahead),
                                        features.end());
    CHECK(second_run == heard_chunks(samples, kSecondBegin, 56, num_tokens(56)));
  }
}

TEST(networks_of_different_lookaheads_lose_no_token) {
  std::string talk = "........";
  while (talk.size() < 200) talk += "ab_";
  for (const auto& [first, second] : {std::pair{4, 0}, std::pair{0, 4}, std::pair{12, 3}}) {
    galago_session_options options = SessionFixture::defaults();
    options.max_utterance_ms = 2000;
    SessionFixture fixture(talk + std::string(40, '.'), options, scripted_target(8, first));
    // Whatever it is asked: speech that spells "a".
    fixture.look_twice_by(raw_network(), raw_target(9, second), "a_", options);
    fixture.second_engine->loops = true;
    fixture.run_tokens(256);
    check_full_finals(fixture.of_type(GALAGO_EVENT_FINAL));
  }
}

TEST(a_second_network_that_breaks_tells_so_and_gives_no_half_answer) {
  for (const bool is_nan : {false, true}) {
    SessionFixture fixture(kFirst);
    fixture.look_twice_by(raw_network(), raw_target(12), kSecond);
    (is_nan ? fixture.second_engine->nan_at_chunk : fixture.second_engine->fail_at_chunk) = 1;
    fixture.push_tokens(48);
    while (fixture.session->step() == GALAGO_OK) {
    }
    fixture.take_all();
    CHECK(fixture.of_type(GALAGO_EVENT_FINAL).empty());
    const auto failures = fixture.of_type(GALAGO_EVENT_FAILED);
    CHECK_EQ(failures.size(), 1u);
    if (!failures.empty()) CHECK_EQ(failures[0].status, GALAGO_E_BACKEND);
    fixture.session->reset();
    fixture.heard.clear();
    CHECK_EQ(final_text(&fixture), "bac");
  }
}

namespace {

// "back" alone, in phones.
Bytes back_alone() {
  AutomatonBuilder sentences;
  const uint32_t begun = sentences.put_out(0, kIntent, "two");
  sentences.set_final(sentences.say(begun, "back", {2, 1, 3}));
  Bytes bytes = sentences.bytes();
  const std::string phones = "SIL\nAA\nB\nK";
  const Sha256Digest digest = sha256(phones.data(), phones.size());
  std::copy(digest.begin(), digest.end(), bytes.begin() + 32);
  return bytes;
}

}  // namespace

TEST(a_grammar_may_hear_the_mean_of_both_networks) {
  const Bytes bytes = back_alone();
  const auto confidence = [&bytes](float share) {
    Ear ear = scripted_ear();
    ear.accept_mean = ear.accept_worst_word = -100.0f;
    ear.grammar_second_pass_share = share;
    // The first network hears the sentence, the second one a B where its K is.
    SessionFixture fixture("....................bbaacc......................",
                           SessionFixture::defaults(), scripted_target(), ear);
    fixture.look_twice_by(raw_network(), raw_target(12),
                          "....................bbaabb......................");
    fixture.session->set_grammar(bytes.data(), bytes.size());
    fixture.run_tokens(64);
    const auto intents = fixture.of_type(GALAGO_EVENT_INTENT);
    CHECK_EQ(intents.size(), 1u);
    return intents.empty() ? 0.0f : intents[0].values.at(0);
  };
  CHECK(confidence(0.0f) > confidence(0.8f));
  CHECK(confidence(0.8f) > confidence(1.0f));
}

TEST(a_grammar_hears_finals_by_the_priors_of_the_second_network_and_partials_by_the_firsts) {
  const Bytes bytes = back_alone();
  const auto confidence = [&bytes](bool first_is_uneven, bool second_is_uneven) {
    const std::vector<float> uneven{-3.0f, -3.0f, -0.2f, -3.0f};
    Ear ear = scripted_ear();
    ear.accept_mean = ear.accept_worst_word = -100.0f;
    EarNetwork network = raw_network();
    if (first_is_uneven) ear.network.phone_log_priors = uneven;
    if (second_is_uneven) network.phone_log_priors = uneven;
    // A B where the sentence has a K: how much worse that is depends on how common they are.
    SessionFixture fixture("....................bbaabb......................",
                           SessionFixture::defaults(), scripted_target(), ear);
    fixture.look_twice_by(network, raw_target(12),
                          "....................bbaabb......................");
    fixture.session->set_grammar(bytes.data(), bytes.size());
    fixture.run_tokens(64);
    const auto intents = fixture.of_type(GALAGO_EVENT_INTENT);
    CHECK_EQ(intents.size(), 1u);
    return intents.empty() ? 0.0f : intents[0].values.at(0);
  };
  const float even = confidence(false, false);
  CHECK_EQ(confidence(true, false), even);
  CHECK(confidence(false, true) != even);
}

TEST(its_memory_is_counted_and_stays_as_it_is) {
  SessionFixture one(kFirst);
  SessionFixture fixture(kFirst);
  fixture.look_twice_by(raw_network(), raw_target(12), kSecond);
  const int64_t before = fixture.session->metrics().peak_bytes;
  // At least the samples of the longest utterance, 20 s of them.
  CHECK(before > one.session->metrics().peak_bytes + 20 * 16000 * int64_t{sizeof(float)});
  CHECK_EQ(final_text(&fixture), "bac");
  CHECK_EQ(fixture.session->metrics().peak_bytes, before);
}
