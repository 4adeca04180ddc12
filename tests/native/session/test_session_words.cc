// A session that hears words: what a lexicon makes of the rows, and when letters are asked instead.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/status.h"
#include "check.h"
#include "decoding/word_model_builder.h"
#include "session/session_fixture.h"

using namespace galago;

namespace {

// The sounds of "cab" are "bcb" here, and "ccb" more seldom: what a text spells tells who heard it.
std::shared_ptr<const WordModel> words() {
  WordModelBuilder builder("_abk");
  builder.add_word("bcb", {"kab"}, -1.0f);
  builder.add_word("ccb", {"kab"}, -2.0f);
  builder.add_word("a", {"a"}, -2.0f);
  return builder.parse();
}

class WordsFixture : public SessionFixture {
 public:
  explicit WordsFixture(uint32_t flags = 0, std::shared_ptr<const WordModel> model = words(),
                        float character_weight = 0.0f,
                        std::optional<float> final_language_weight = std::nullopt)
      : SessionFixture(kScript) {
    opened.ear.character_weight = character_weight;
    opened.ear.final_language_weight = final_language_weight;
    opened.ear.phones = {"_", "a", "b", "k"};
    opened.ear.decoding_method = "words";
    opened.word_model = std::move(model);
    session = std::make_unique<Session>(OpenedRoles{&opened, nullptr, nullptr}, with_flags(flags));
  }

  std::string final_text() {
    run_tokens(48);
    end();
    const auto finals = of_type(GALAGO_EVENT_FINAL);
    return finals.size() == 1 ? finals[0].text : std::to_string(finals.size()) + " finals";
  }

  static constexpr const char* kScript = "....ccaabb......................";
};

}  // namespace

TEST(a_final_holds_the_words_of_the_lexicon_with_their_times) {
  WordsFixture fixture;
  CHECK_EQ(fixture.final_text(), "bcb");
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  if (finals.empty()) return;
  CHECK_EQ(finals[0].words.size(), 1u);
  CHECK_EQ(finals[0].word_begins_ns[0], 7'000'000'000 + 4 * kTokenNs);
  CHECK_EQ(finals[0].stable_bytes, 3u);
  CHECK(!fixture.of_type(GALAGO_EVENT_PARTIAL).empty());
}

// Spelled "cab": "ccb" has one letter of it more than "bcb", which is likelier by its sounds.
TEST(words_that_sound_alike_are_told_apart_by_their_letters) {
  WordsFixture fixture(0, words(), 0.5f);
  CHECK_EQ(fixture.final_text(), "ccb");
  for (const Heard& partial : fixture.of_type(GALAGO_EVENT_PARTIAL))
    CHECK_EQ(partial.text, "bcb");  // letters are asked when the utterance is over
  CHECK_EQ(WordsFixture(0, words(), 0.001f).final_text(), "bcb");
}

// "ccb" is a nat less likely than "bcb": by its letters it wins only while language counts little.
TEST(the_language_may_count_more_among_finals) {
  CHECK_EQ(WordsFixture(0, words(), 0.5f, 1.0f).final_text(), "ccb");
  CHECK_EQ(WordsFixture(0, words(), 0.5f, 50.0f).final_text(), "bcb");
  CHECK_EQ(WordsFixture(0, words(), 0.001f, 0.0f).final_text(), "ccb");
}

TEST(a_session_may_ask_for_letters) {
  CHECK_EQ(WordsFixture(GALAGO_SESSION_GREEDY).final_text(), "cab");
  CHECK_EQ(WordsFixture(GALAGO_SESSION_BEAM).final_text(), "cab");
}

TEST(a_hotword_that_the_lexicon_knows_is_preferred_among_its_words) {
  WordsFixture fixture;
  fixture.session->set_hotwords({{"CCB", 2.0f}});
  CHECK_EQ(fixture.final_text(), "ccb");
}

TEST(a_hotword_that_no_lexicon_knows_is_heard_by_its_letters) {
  WordsFixture fixture;
  fixture.session->set_hotwords({{"acc", 1.0f}});
  CHECK_EQ(fixture.final_text(), "cab");
}

TEST(without_hotwords_words_are_heard_again) {
  WordsFixture fixture;
  fixture.session->set_hotwords({{"acc", 1.0f}});
  fixture.session->set_hotwords({});
  CHECK_EQ(fixture.final_text(), "bcb");
}

TEST(hotwords_that_come_within_an_utterance_count_in_it) {
  WordsFixture fixture;
  fixture.run_tokens(8);
  fixture.session->set_hotwords({{"ccb", 2.0f}});
  fixture.run_tokens(40);
  const auto finals = fixture.of_type(GALAGO_EVENT_FINAL);
  CHECK_EQ(finals.size(), 1u);
  if (!finals.empty()) CHECK_EQ(finals[0].text, "ccb");
}

TEST(a_word_model_for_other_phones_is_refused) {
  WordModelBuilder other("_xyz");
  other.add_word("b", {"x"}, -1.0f);
  CHECK_THROWS(WordsFixture(0, other.parse()), "other phones");
}

TEST(a_session_of_words_needs_a_model) { CHECK_THROWS(WordsFixture(0, nullptr), "no word model"); }
