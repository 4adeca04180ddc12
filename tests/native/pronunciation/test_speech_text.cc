// From text to the phones and marks of the voice, with a tiny dictionary and no network.
#include "pronunciation/speech_text.h"

#include <string>

#include "base/status.h"
#include "check.h"
#include "pronunciation/tiny_voice.h"

namespace {

const tiny_voice::Voice& voice() {
  static const tiny_voice::Voice the_voice;
  return the_voice;
}

std::string phones(const std::string& text) {
  return tiny_voice::lines_of(voice(), voice().speech.parse(text));
}

}  // namespace

TEST(sentences_become_segments_of_phones_and_marks) {
  CHECK_EQ(phones("Hello, world?"), "^ HH AH0 L OW1 , W ER1 L D ?");
  CHECK_EQ(phones("Hello. One dog"), "^ HH AH0 L OW1 .\n^ W AH1 N | D AO1 G .");
  CHECK_EQ(phones("<speak><break time='200ms'/>one<break time='1s'/>dog</speak>"),
           "^<200> W AH1 N |<1000> D AO1 G .");
  CHECK_EQ(phones(""), "");
  CHECK_EQ(phones("\xF0\x9F\x98\x80"), "");
}

TEST(endings_are_derived_and_unknown_words_are_spelled_without_a_network) {
  CHECK_EQ(phones("dogs boxes dog's"), "^ D AO1 G Z | B AA1 K S IH0 Z | D AO1 G Z .");
  CHECK_EQ(phones("walked wanted walking"), "^ W AO1 K T | W AA1 N T IH0 D | W AO1 K IH0 NG .");
  const galago::SpeechScript script = voice().speech.parse("gab");
  CHECK_EQ(tiny_voice::lines_of(voice(), script), "^ JH IY1 EY1 B IY1 .");
  CHECK_EQ(script.num_unknown_words, 1u);
}

TEST(articles_letters_and_heteronyms_are_told_apart) {
  CHECK_EQ(phones("the dog"), "^ DH AH0 | D AO1 G .");
  CHECK_EQ(phones("the apple"), "^ DH IY0 | AE1 P AH0 L .");
  CHECK_EQ(phones("a dog"), "^ AH0 | D AO1 G .");
  CHECK_EQ(phones("USB"), "^ Y UW1 | EH1 S | B IY1 .");
  CHECK_EQ(phones("I read"), "^ AY1 | R IY1 D .");
  CHECK_EQ(phones("I have read"), "^ AY1 | HH AE1 V | R EH1 D .");
  CHECK_EQ(phones("a record"), "^ AH0 | R EH1 K ER0 D .");
  CHECK_EQ(phones("to record"), "^ T UW1 | R IH0 K AO1 R D .");
  CHECK_EQ(phones("Record the dog"), "^ R IH0 K AO1 R D | DH AH0 | D AO1 G .");
}

TEST(phones_know_their_words_and_words_their_bytes) {
  const std::string text = "Hello, USB";
  const galago::SpeechScript script = voice().speech.parse(text);
  CHECK_EQ(script.words.size(), 4u);
  CHECK_EQ(script.words[0].source.end_byte, 5u);
  CHECK_EQ(script.words[2].source.begin_byte, 7u);
  const galago::SpeechPhone& last = script.segments[0].phones[script.segments[0].phones.size() - 2];
  CHECK(!last.is_mark);
  CHECK_EQ(last.word, 3u);
}

TEST(long_texts_are_cut_into_bounded_segments_and_too_long_ones_refused) {
  for (const std::string piece : {"dog ", "x", "hello, ", "1", "A.", "\xF0\x9F\x98\x80"}) {
    std::string text;
    while (text.size() < 10'000) text += piece;
    const galago::SpeechScript script = voice().speech.parse(text);
    size_t num_phones = 0;
    for (const galago::SpeechSegment& segment : script.segments) {
      CHECK(segment.phones.size() <= galago::SpeechText::kMaxSegmentPhones + 2);
      CHECK(segment.phones.front().is_mark && segment.phones.back().is_mark);
      num_phones += segment.phones.size();
    }
    CHECK(num_phones <= 8 * text.size());
  }
  CHECK_THROWS(voice().speech.parse(std::string(galago::SpeechText::kMaxTextBytes + 1, 'a')),
               "at most 262144");
}

TEST(the_dictionary_is_found_word_by_word_and_nothing_else_is) {
  const galago::Pronunciations& dictionary = *voice().dictionary;
  CHECK_EQ(dictionary.num_words(), tiny_voice::words().size());
  for (const auto& [word, text] : tiny_voice::words()) {
    std::string found;
    for (const uint8_t row : dictionary.find(word))
      found += (found.empty() ? "" : " ") + dictionary.phones()[row];
    CHECK_EQ(found, text);
    CHECK(dictionary.find(word + "q").empty());
    CHECK(dictionary.find(word.substr(0, word.size() - 1) + "~").empty());
  }
  for (const char* word : {"", "0", "zz", "he", "hell", "recorda"})
    CHECK(dictionary.find(word).empty());
}

TEST(a_damaged_dictionary_is_an_error) {
  const std::string whole = tiny_voice::pronunciations();
  const auto parse = [](const std::string& bytes) {
    galago::Pronunciations::parse(nullptr, bytes.data(), bytes.size());
  };
  for (size_t length = 0; length < whole.size(); ++length)
    CHECK_THROWS(parse(whole.substr(0, length)), "pronunciations");
  CHECK_THROWS(parse(whole + "x"), "too many");
  std::string newer = whole;
  newer[4] = 2;
  CHECK_THROWS(parse(newer), "version 2");
}
