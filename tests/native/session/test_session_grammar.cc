// Grammars and wake phrases in a session: when they begin to count, and which events they lead to.
#include "base/sha256.h"
#include "check.h"
#include "decoding/automaton_builder.h"
#include "session/session_fixture.h"

using namespace galago;

namespace {

constexpr size_t kPhonesDigestOffset = 32;  // in the header of compiled grammars

// For the phones of the scripted ear: AA = 1, B = 2, K = 3.
Bytes for_scripted_ear(Bytes bytes) {
  const std::string phones = "SIL\nAA\nB\nK";
  const Sha256Digest digest = sha256(phones.data(), phones.size());
  std::copy(digest.begin(), digest.end(), bytes.begin() + kPhonesDigestOffset);
  return bytes;
}

// Intent "move" with the slot where = "back": "go" (AA B) "back" (B AA K).
Bytes move_grammar() {
  AutomatonBuilder builder;
  uint32_t state = builder.put_out(0, kIntent, "move");
  state = builder.say(state, "go", {1, 2});
  state = builder.put_out(state, kSlotBegin, "where");
  state = builder.say(state, "back", {2, 1, 3});
  state = builder.put_out(state, kSlotEnd, "backwards");
  builder.set_final(state);
  return for_scripted_ear(builder.bytes());
}

Bytes wake_phrase() {
  AutomatonBuilder builder;
  uint32_t state = builder.put_out(0, kPhrase, "cab a");
  state = builder.say(state, "cab", {3, 1, 2});
  state = builder.say(state, "a", {1});
  builder.set_final(state);
  return for_scripted_ear(builder.bytes(2));
}

const char kGoBack[] = "....aaabbb..bbbaaaccc..................";
const char kOther[] = "....cccbbbcccbbbccc....................";

}  // namespace

TEST(a_sentence_of_the_grammar_is_a_final_and_then_an_intent) {
  SessionFixture fixture(kGoBack);
  const Bytes grammar = move_grammar();
  fixture.session->set_grammar(grammar.data(), grammar.size());
  fixture.run_tokens(56);
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  const auto intents = fixture.of_type(GALAGO_EVENT_INTENT);
  CHECK_EQ(finals.size(), 1u);
  CHECK_EQ(intents.size(), 1u);
  if (finals.empty() || intents.empty()) return;
  CHECK_EQ(finals[0].text, "go back");
  CHECK_EQ(finals[0].words.size(), 2u);
  CHECK_EQ(finals[0].word_begins_ns[0], 7'000'000'000 + 4 * kTokenNs);
  CHECK_EQ(intents[0].text, "move");
  CHECK_EQ(intents[0].utterance, finals[0].utterance);
  CHECK_EQ(intents[0].sequence, finals[0].sequence + 1);
  CHECK_EQ(intents[0].values.size(), 1u);
  CHECK(intents[0].values[0] > 0.5f && intents[0].values[0] <= 1.0f);
}

TEST(an_intent_holds_its_slots) {
  SessionFixture fixture(kGoBack);
  const Bytes grammar = move_grammar();
  fixture.session->set_grammar(grammar.data(), grammar.size());
  bool found = false;
  for (int i = 0; i < 8; ++i) {
    fixture.push_tokens(8);
    while (fixture.session->step() == GALAGO_OK) {
      galago_event event;
      while (fixture.session->next_event(&event) == GALAGO_OK) {
        if (event.type != GALAGO_EVENT_INTENT) continue;
        found = true;
        CHECK_EQ(event.num_labels, 1u);
        CHECK_EQ(std::string(event.labels[0].name), "where");
        CHECK_EQ(std::string(event.labels[0].value), "backwards");
        CHECK_EQ(event.num_words, 2u);
      }
    }
  }
  CHECK(found);
}

TEST(speech_that_no_sentence_fits_is_rejected_with_what_was_heard) {
  SessionFixture fixture(kOther);
  const Bytes grammar = move_grammar();
  fixture.session->set_grammar(grammar.data(), grammar.size());
  fixture.run_tokens(56);
  const auto rejected = fixture.of_type(GALAGO_EVENT_REJECTED);
  CHECK_EQ(rejected.size(), 1u);
  if (!rejected.empty()) {
    CHECK_EQ(rejected[0].text, "cbcbc");
    CHECK_EQ(rejected[0].values.size(), 1u);
    CHECK_EQ(rejected[0].status, GALAGO_OK);
  }
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 0u);
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_INTENT).size(), 0u);
}

TEST(an_acceptance_hears_the_characters_of_the_same_utterance) {
  // The script's characters spell "abbac", whatever its words are called.
  for (const bool is_spelled_so : {true, false}) {
    AutomatonBuilder builder;
    uint32_t state = builder.put_out(0, kIntent, "move");
    state = builder.say(state, is_spelled_so ? "ab" : "ccc", {1, 2});
    state = builder.say(state, is_spelled_so ? "bac" : "acca", {2, 1, 3});
    builder.set_final(state);
    const Bytes grammar = for_scripted_ear(builder.bytes());
    Ear ear = scripted_ear();
    ear.accept_mean = ear.accept_worst_word = 0.0f;  // do not count any more
    ear.acceptance = Acceptance{2.0f, 1.0f, 1.0f, -1.0f, 0.5f};
    SessionFixture fixture(kGoBack, SessionFixture::defaults(), scripted_target(), ear);
    fixture.session->set_grammar(grammar.data(), grammar.size());
    fixture.run_tokens(56);
    const uint32_t type = is_spelled_so ? GALAGO_EVENT_INTENT : GALAGO_EVENT_REJECTED;
    const auto heard = fixture.of_type(type);
    CHECK_EQ(heard.size(), 1u);
    if (heard.size() != 1 || heard[0].values.size() != 1) continue;
    CHECK_EQ(heard[0].values[0] >= 0.5f, is_spelled_so);
    CHECK(heard[0].values[0] > 0.0f && heard[0].values[0] < 1.0f);
  }
}

TEST(a_grammar_set_within_an_utterance_counts_from_the_next_one) {
  SessionFixture fixture(std::string(kGoBack) + kGoBack + kGoBack);
  const Bytes grammar = move_grammar();
  fixture.run_tokens(12);  // within the first utterance
  fixture.session->set_grammar(grammar.data(), grammar.size());
  fixture.run_tokens(40);  // within the second one
  fixture.session->set_grammar(nullptr, 0);
  fixture.run_tokens(80);
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  CHECK_EQ(finals.size(), 3u);
  if (finals.size() < 3) return;
  CHECK_EQ(finals[0].text, "abbac");
  CHECK_EQ(finals[1].text, "go back");
  CHECK_EQ(finals[2].text, "abbac");
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_INTENT).size(), 1u);
}

TEST(wake_phrases_are_spotted_beside_open_listening_at_once) {
  SessionFixture fixture("....bbcccaaabbbaaa....................");
  const Bytes phrases = wake_phrase();
  fixture.run_tokens(4);
  fixture.session->set_phrases(phrases.data(), phrases.size());
  fixture.run_tokens(48);
  const auto spotted = fixture.of_type(GALAGO_EVENT_PHRASE);
  CHECK_EQ(spotted.size(), 1u);
  if (!spotted.empty()) {
    CHECK_EQ(spotted[0].text, "cab a");
    CHECK_EQ(spotted[0].begin_ns, 7'000'000'000 + 6 * kTokenNs);
    CHECK(spotted[0].values[0] > 0.5f);
  }
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_FINAL).size(), 1u);
  fixture.session->set_phrases(nullptr, 0);
}

TEST(bytes_that_are_no_grammar_of_this_ear_are_refused_and_change_nothing) {
  SessionFixture fixture(kGoBack);
  const Bytes grammar = move_grammar();
  fixture.session->set_grammar(grammar.data(), grammar.size());
  CHECK_THROWS(fixture.session->set_grammar("GGRM", 4), "");
  CHECK_THROWS(fixture.session->set_grammar(grammar.data(), 0), "");
  const Bytes phrases = wake_phrase();
  CHECK_THROWS(fixture.session->set_grammar(phrases.data(), phrases.size()), "");
  CHECK_THROWS(fixture.session->set_phrases(grammar.data(), grammar.size()), "");
  Bytes foreign = grammar;
  foreign[kPhonesDigestOffset] ^= 1;
  CHECK_THROWS(fixture.session->set_grammar(foreign.data(), foreign.size()), "phones");
  for (size_t length = 0; length < grammar.size(); ++length) {
    CHECK_THROWS(fixture.session->set_grammar(grammar.data(), length), "");
  }
  fixture.run_tokens(56);
  CHECK_EQ(fixture.of_type(GALAGO_EVENT_INTENT).size(), 1u);
}
