// A session that looks twice: what is final is of the second pass, and nothing else changes.
#include <algorithm>

#include "base/sha256.h"
#include "check.h"
#include "decoding/automaton_builder.h"
#include "decoding/word_model_builder.h"
#include "session/session_fixture.h"

using namespace galago;

namespace {

// The voice begins at token 8. An utterance reaches 200 ms (five tokens) back, and its second pass
// begins 16 tokens before it, which is before the stream: so both scripts begin at the stream's
// begin.
constexpr const char* kFirst = "........ccaa~bb......................";
constexpr const char* kSecond = "........bbaa~cc......................";

std::vector<std::string> texts(const std::vector<Heard>& events) {
  std::vector<std::string> found;
  for (const Heard& event : events) found.push_back(event.text);
  return found;
}

std::string final_text(SessionFixture* fixture, size_t num_tokens = 48) {
  fixture->run_tokens(num_tokens);
  const auto finals = fixture->of_type(GALAGO_EVENT_FINAL);
  return finals.size() == 1 ? finals[0].text : std::to_string(finals.size()) + " finals";
}

// A minute's talk without a pause, in which the two passes hear different letters.
std::string talk(const char* letters, size_t num_tokens) {
  std::string text = "........";
  for (size_t i = 0; text.size() < num_tokens; ++i)
    text += i % 5 == 4 ? '_' : letters[i % 3 == 0 ? 0 : 1];
  return text + "..............................";
}

}  // namespace

TEST(what_is_final_is_of_the_second_pass_and_partials_of_the_first) {
  SessionFixture fixture(kFirst);
  fixture.look_twice(kSecond);
  CHECK_EQ(final_text(&fixture), "bac");
  const std::vector<std::string> partials = texts(fixture.of_type(GALAGO_EVENT_PARTIAL));
  CHECK(!partials.empty() && partials[0] == "cab");
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  if (finals.empty()) return;
  CHECK_EQ(finals[0].stable_bytes, 3u);
  CHECK_EQ(finals[0].word_begins_ns[0], 7'000'000'000 + 8 * kTokenNs);
  CHECK_EQ(finals[0].begin_ns, 7'000'000'000 + 8 * kTokenNs);
}

TEST(one_pass_may_be_asked_for) {
  SessionFixture fixture(kFirst);
  fixture.look_twice(kSecond, GALAGO_SESSION_ONE_PASS);
  CHECK_EQ(final_text(&fixture), "cab");
  CHECK(fixture.second_engine->keeps.empty());
}

TEST(without_partials_finals_are_the_same) {
  SessionFixture fixture(kFirst);
  fixture.look_twice(kSecond, GALAGO_SESSION_NO_PARTIALS);
  CHECK_EQ(final_text(&fixture), "bac");
  CHECK(fixture.of_type(GALAGO_EVENT_PARTIAL).empty());
}

TEST(the_stable_part_of_partials_is_what_becomes_final) {
  for (const uint32_t flags : {0u, static_cast<uint32_t>(GALAGO_SESSION_BEAM)}) {
    SessionFixture fixture(talk("ab", 200));
    fixture.look_twice(talk("cb", 200), flags, 32);
    const std::string whole = final_text(&fixture, 232);
    CHECK(whole.find('a') == std::string::npos);
    size_t stable_bytes = 0;
    bool has_draft = false;
    for (const Heard& partial : fixture.of_type(GALAGO_EVENT_PARTIAL)) {
      CHECK(partial.stable_bytes >= stable_bytes);
      stable_bytes = partial.stable_bytes;
      CHECK_EQ(partial.text.substr(0, stable_bytes), whole.substr(0, stable_bytes));
      // Behind what the second pass has heard stands what the first one has.
      has_draft = has_draft || partial.text.find('a', stable_bytes) != std::string::npos;
    }
    // Of this script the beam is never sure: it keeps every other letter in mind.
    if (flags == 0) CHECK(stable_bytes > whole.size() / 2);
    CHECK(has_draft);
  }
}

TEST(every_utterance_is_a_stream_of_its_own) {
  const std::string silence = "..............................";
  SessionFixture fixture(std::string(kFirst) + silence + kFirst + silence);
  // The second utterance has more before its voice than the first.
  fixture.look_twice("........bbaa~cc......bbaa~cc......................");
  fixture.second_engine->records = true;
  fixture.run_tokens(144);
  CHECK_EQ(texts(fixture.of_type(GALAGO_EVENT_FINAL)).size(), 2u);
  const std::vector<float>& keeps = fixture.second_engine->keeps;
  CHECK_EQ(std::count(keeps.begin(), keeps.end(), 0.0f), 2);
  CHECK_EQ(keeps.front(), 0.0f);
}

TEST(nothing_is_looked_at_twice_in_silence) {
  SessionFixture fixture("");
  fixture.look_twice(kSecond);
  fixture.second_engine->records = true;
  fixture.run_tokens(200);
  CHECK(fixture.second_engine->keeps.empty());
}

TEST(the_second_pass_sees_the_frames_of_the_first_and_then_the_last_of_them_to_and_fro) {
  SessionFixture fixture(kFirst);
  fixture.look_twice(kSecond, 0, 16);
  fixture.engine->records = fixture.second_engine->records = true;
  std::vector<float> samples(48 * kTokenSamples);
  for (size_t i = 0; i < samples.size(); ++i)
    samples[i] = 0.02f * static_cast<float>((i * 7919) % 101) / 101.0f;
  for (size_t at = 0; at < samples.size(); at += 8 * kTokenSamples) {
    fixture.session->push_audio(samples.data() + at, 8 * kTokenSamples, fixture.next_ns);
    fixture.next_ns += static_cast<int64_t>(8 * kTokenSamples) * kSampleNs;
    fixture.step_all();
  }
  const std::vector<float>& first = fixture.engine->features;
  const std::vector<float>& second = fixture.second_engine->features;
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
  // The utterance ends 15 tokens (600 ms) after token 15: at token 30, in the fourth chunk of the
  // first pass, and the second one's chunks are of 16 tokens.
  const size_t width = second.size() / (2 * 64);
  const size_t num_shared = 2 * 64 * width;
  CHECK_EQ(second.size(), num_shared);
  CHECK(std::equal(second.begin(), second.begin() + static_cast<ptrdiff_t>(96 * width),
                   first.begin()));
  const size_t num_heard = 4 * 8 * 4;  // frames
  for (size_t i = 0; num_heard + i < 128; ++i) {
    const size_t back = i % 32 < 16 ? i % 32 : 31 - i % 32;
    CHECK(std::equal(first.begin() + static_cast<ptrdiff_t>((num_heard - 1 - back) * width),
                     first.begin() + static_cast<ptrdiff_t>((num_heard - back) * width),
                     second.begin() + static_cast<ptrdiff_t>((num_heard + i) * width)));
  }
}

TEST(the_end_of_the_input_ends_the_second_pass_too) {
  SessionFixture fixture("........ccaa~bb");
  fixture.look_twice("........bbaa~cc");
  fixture.push_tokens(15);
  fixture.end();
  CHECK(texts(fixture.of_type(GALAGO_EVENT_FINAL)) == std::vector<std::string>{"bac"});
}

TEST(a_lookahead_delays_both_passes_alike) {
  SessionFixture fixture(kFirst, SessionFixture::defaults(), scripted_target(8, 4));
  fixture.look_twice(kSecond);
  CHECK_EQ(final_text(&fixture, 56), "bac");
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  if (!finals.empty()) CHECK_EQ(finals[0].word_begins_ns[0], 7'000'000'000 + 8 * kTokenNs);
}

TEST(an_utterance_cut_at_its_greatest_length_goes_on_without_a_gap) {
  galago_session_options options = SessionFixture::defaults();
  options.max_utterance_ms = 2000;
  SessionFixture fixture(talk("ab", 200), options);
  // Whatever it is asked: speech that spells "a". No token is asked for twice, and none is left
  // out.
  fixture.look_twice_by(fixture.opened.ear.network, scripted_target(16), "a_", options);
  fixture.second_engine->loops = true;
  fixture.run_tokens(232);
  check_full_finals(fixture.of_type(GALAGO_EVENT_FINAL));
}

TEST(a_second_pass_that_breaks_tells_so_and_gives_no_half_answer) {
  for (const bool is_nan : {false, true}) {
    SessionFixture fixture(kFirst);
    fixture.look_twice(kSecond);
    (is_nan ? fixture.second_engine->nan_at_chunk : fixture.second_engine->fail_at_chunk) = 0;
    fixture.push_tokens(40);
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

TEST(partials_and_finals_of_words_may_have_beams_of_their_own) {
  WordModelBuilder builder("_abk");
  builder.add_word("cab", {"kab"}, -1.0f);
  builder.add_word("kab", {"kab"}, -1.5f);
  builder.add_word("back", {"bak"}, -1.0f);
  for (const int draft_width : {4, 64}) {
    SessionFixture fixture(kFirst);
    fixture.opened.ear.phones = {"_", "a", "b", "k"};
    fixture.opened.ear.decoding_method = "words";
    fixture.opened.ear.word_beam_width = draft_width;
    fixture.opened.ear.final_word_beam_width = 32;
    fixture.opened.ear.character_weight = 0.1f;
    fixture.opened.word_model = builder.parse();
    fixture.look_twice(kSecond);
    CHECK_EQ(final_text(&fixture), "back");
    CHECK(!fixture.of_type(GALAGO_EVENT_PARTIAL).empty());
  }
}

TEST(words_are_looked_at_twice) {
  WordModelBuilder builder("_abk");
  builder.add_word("cab", {"kab"}, -1.0f);
  builder.add_word("back", {"bak"}, -1.0f);
  SessionFixture fixture(kFirst);
  fixture.opened.ear.phones = {"_", "a", "b", "k"};
  fixture.opened.ear.decoding_method = "words";
  fixture.opened.word_model = builder.parse();
  fixture.look_twice(kSecond);
  CHECK_EQ(final_text(&fixture), "back");
  const std::vector<std::string> partials = texts(fixture.of_type(GALAGO_EVENT_PARTIAL));
  CHECK(!partials.empty() && partials[0] == "cab");
}

TEST(a_grammar_means_what_the_second_pass_hears) {
  AutomatonBuilder sentences;
  uint32_t end = sentences.add_state();
  const uint32_t one = sentences.put_out(0, kIntent, "one");
  const uint32_t two = sentences.put_out(0, kIntent, "two");
  sentences.add_arc(sentences.say(one, "cab", {3, 1, 2}), end, kEpsilonPhone);
  sentences.add_arc(sentences.say(two, "back", {2, 1, 3}), end, kEpsilonPhone);
  sentences.set_final(end);
  Bytes bytes = sentences.bytes();
  const std::string phones = "SIL\nAA\nB\nK";
  const Sha256Digest digest = sha256(phones.data(), phones.size());
  std::copy(digest.begin(), digest.end(), bytes.begin() + 32);

  SessionFixture fixture("........ccaabb......................");
  fixture.look_twice("........bbaacc......................");
  fixture.session->set_grammar(bytes.data(), bytes.size());
  CHECK_EQ(final_text(&fixture), "back");
  CHECK(texts(fixture.of_type(GALAGO_EVENT_INTENT)) == std::vector<std::string>{"two"});
  const std::vector<std::string> partials = texts(fixture.of_type(GALAGO_EVENT_PARTIAL));
  CHECK(!partials.empty() && partials[0] == "cab");
}

namespace {

// Pushes 48 tokens of faint sound with a click in the 28th, 10 ms at a time, and steps; answers how
// many samples there were at the first final.
size_t samples_at_final(SessionFixture* fixture, size_t num_tokens = 48) {
  for (size_t at = 0; at < num_tokens * kTokenSamples; at += 160) {
    const bool is_click = at >= 27 * kTokenSamples && at < 27 * kTokenSamples + 160;
    const std::vector<float> samples(160, is_click ? 0.1f : 0.001f);
    fixture->session->push_audio(samples.data(), samples.size(), fixture->next_ns);
    fixture->next_ns += 160 * kSampleNs;
    while (fixture->session->step() == GALAGO_OK) {
    }
    fixture->take_all();
    if (!fixture->of_type(GALAGO_EVENT_FINAL).empty()) return at + 160;
  }
  return 0;
}

// The voice ends with token 15 and 600 ms later, at token 30, the utterance.
constexpr size_t kEndSamples = 30 * kTokenSamples;

}  // namespace

TEST(a_click_that_is_no_voice_to_the_second_pass_does_not_delay_the_end) {
  SessionFixture one_pass(kFirst);
  CHECK(samples_at_final(&one_pass) > kEndSamples + 640);
  for (const int chunk_tokens : {16, 32, 64}) {
    SessionFixture fixture(kFirst);
    fixture.look_twice(kSecond, 0, chunk_tokens);
    CHECK_EQ(samples_at_final(&fixture), kEndSamples);
    const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
    if (!finals.empty()) CHECK_EQ(finals[0].text, "bac");
    CHECK_EQ(fixture.session->metrics().steps, 3u);
  }
}

TEST(a_click_that_is_a_voice_goes_on_and_leaves_no_trace_in_the_second_pass) {
  const std::string first = "........ccaa~bb...........ccaabb.......................";
  const std::string second = "........bbaa~cc...........aabbaa.......................";
  for (const int chunk_tokens : {16, 64}) {
    SessionFixture fixture(first);
    fixture.look_twice(second, 0, chunk_tokens);
    fixture.second_engine->records = true;
    CHECK(samples_at_final(&fixture, 64) > kEndSamples + 640);
    const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
    CHECK_EQ(finals.size(), 1u);
    if (finals.empty()) return;
    CHECK_EQ(finals[0].text, "bacaba");
    CHECK_EQ(finals[0].word_begins_ns[0], 7'000'000'000 + 8 * kTokenNs);
    CHECK_EQ(finals[0].end_ns, 7'000'000'000 + 32 * kTokenNs);
    // It was run again from its begin, and each time a whole chunk of it.
    const std::vector<float>& keeps = fixture.second_engine->keeps;
    CHECK_EQ(std::count(keeps.begin(), keeps.end(), 0.0f), 2);
  }
}
