// SSML: what is read of it, and that everything else is an error with its place.
#include "text/ssml.h"

#include <string>

#include "base/status.h"
#include "check.h"
#include "pronunciation/tiny_voice.h"
#include "text/arpabet.h"

namespace {

const tiny_voice::Voice& voice() {
  static const tiny_voice::Voice the_voice;
  return the_voice;
}

std::string spoken(const std::string& ssml) {
  std::string line;
  const galago::SpokenWords words = voice().speech.words(ssml);
  for (const galago::SpokenWord& word : words.all()) {
    if (!line.empty()) line += ' ';
    line += word.kind == galago::SpokenWord::Kind::kPhones ? "[" + word.text + "]" : word.text;
    if (word.mark != ' ') line += std::string(" ") + word.mark;
    if (word.pause_ms > 0) line += " <" + std::to_string(word.pause_ms) + ">";
  }
  return line;
}

}  // namespace

TEST(text_is_ssml_only_if_it_begins_with_speak) {
  CHECK(galago::is_ssml(" \n<speak>a</speak>"));
  CHECK(galago::is_ssml("<speak version='1.1'/>"));
  CHECK(!galago::is_ssml("<speaker>"));
  CHECK(!galago::is_ssml("1 < 2"));
  CHECK_EQ(spoken("a < <b>"), "a less than less than b greater than");
}

TEST(elements_of_the_subset_are_read) {
  CHECK_EQ(spoken("<speak>hello <break time='500ms'/>world</speak>"), "hello <500> world");
  CHECK_EQ(spoken("<speak>hello <break time='1.5s'/>world</speak>"), "hello <1500> world");
  CHECK_EQ(spoken("<speak>hello<break/>world</speak>"), "hello , <300> world");
  CHECK_EQ(spoken("<speak>hello, <break strength='none'/>world</speak>"), "hello world");
  CHECK_EQ(spoken("<speak>hello <break strength='strong'/>world</speak>"), "hello . <600> world");
  CHECK_EQ(spoken("<speak><p><s>hello</s><s>world</s></p></speak>"), "hello . world .");
  CHECK_EQ(spoken("<speak><sub alias='hello world'>HW</sub></speak>"), "hello world");
  CHECK_EQ(spoken("<speak><phoneme alphabet='x-arpabet' ph='HH AH L OW'>x</phoneme></speak>"),
           "[HH AH1 L OW0]");
  CHECK_EQ(spoken("<?xml version='1.0'?><!-- c --><speak>a &amp; &#x62;&#99;<!-- d --></speak>"),
           "a and b c");
  CHECK_EQ(spoken("<speak/>"), "");
}

TEST(say_as_decides_how_digits_are_read) {
  const auto say = [](const std::string& how, const std::string& text) {
    return spoken("<speak><say-as interpret-as='" + how + "'>" + text + "</say-as></speak>");
  };
  CHECK_EQ(say("characters", "aB1"), "a b one");
  CHECK_EQ(say("spell-out", "dog"), "d o g");
  CHECK_EQ(say("cardinal", "1204"), "one thousand two hundred four");
  CHECK_EQ(say("ordinal", "3"), "third");
  CHECK_EQ(say("digits", "1204"), "one two zero four");
  CHECK_EQ(say("time", "7:30 pm"), "seven thirty p m");
  CHECK_EQ(say("date' format='dmy", "1/2/2026"), "february first twenty twenty six");
  CHECK_EQ(say("telephone", "555-0123"), "five five five , zero one two three");
  CHECK_EQ(say("ordinal", "hello"), "hello");  // what does not fit is read as any text
}

TEST(prosody_nests_and_is_kept_for_each_phone) {
  const galago::SpeechScript script = voice().speech.parse(
      "<speak>hello <prosody rate='50%' pitch='+2st' volume='-6dB'>world <prosody rate='slow' "
      "pitch='high'>dog</prosody></prosody></speak>");
  CHECK_EQ(script.prosodies.size(), 3u);
  CHECK_NEAR(script.prosodies[1].rate, 0.5, 1e-6);
  CHECK_NEAR(script.prosodies[1].pitch_semitones, 2.0, 1e-6);
  CHECK_NEAR(script.prosodies[1].volume_db, -6.0, 1e-6);
  CHECK_NEAR(script.prosodies[2].rate, 0.375, 1e-6);
  CHECK_NEAR(script.prosodies[2].pitch_semitones, 5.0, 1e-6);
  for (const galago::SpeechPhone& phone : script.segments[0].phones)
    if (!phone.is_mark) CHECK_EQ(phone.prosody, phone.word);
}

TEST(malformed_ssml_is_an_error_with_line_and_column) {
  const char* malformed[][2] = {
      {"<speak>", "ends before </speak>"},
      {"<speak>a</p></speak>", "line 1, column 9: </p> where </speak> was expected"},
      {"<speak>\n <b>a</b></speak>", "line 2, column 2: <b> is not read here"},
      {"<speak>a & b</speak>", "begins no entity"},
      {"<speak>&lol;</speak>", "unknown entity"},
      {"<speak>&#xD800;</speak>", "is no character"},
      {"<speak>&#99999999;</speak>", "is no character"},
      {"<speak><!DOCTYPE x></speak>", "document types"},
      {"<speak a='1' a='2'/>", "twice"},
      {"<speak a=1/>", "quoted value"},
      {"<speak a='<'/>", "inside an attribute"},
      {"<speak></speak><speak/>", "second root"},
      {"<speak></speak>x", "outside of the root"},
      {"<speak><break time='5'/></speak>", "time=\"5\" in <break> is not understood"},
      {"<speak><break time='-1s'/></speak>", "not understood"},
      {"<speak><break time='11s'/></speak>", "10 s at most"},
      {"<speak><break>a</break></speak>", "holds nothing"},
      {"<speak><prosody>a</prosody></speak>", "needs rate, pitch or volume"},
      {"<speak><prosody rate='0'>a</prosody></speak>", "rate=\"0\""},
      {"<speak><prosody pitch='+20Hz'>a</prosody></speak>", "pitch=\"+20Hz\""},
      {"<speak><say-as interpret-as='song'>a</say-as></speak>", "interpret-as=\"song\""},
      {"<speak><sub>a</sub></speak>", "needs an alias"},
      {"<speak><phoneme alphabet='x-arpabet' ph='QQ'>a</phoneme></speak>", "ph=\"QQ\""},
      {"<speak><sub alias='b'><p/></sub></speak>", "<p> inside <sub>"},
  };
  for (const auto& [text, message] : malformed) CHECK_THROWS(galago::parse_ssml(text), message);
}

TEST(depth_is_bounded_and_every_truncation_is_an_error) {
  std::string deep = "<speak>";
  for (int i = 0; i < 1000; ++i) deep += "<p>";
  CHECK_THROWS(galago::parse_ssml(deep), "nest deeper than 16");
  const std::string whole =
      "<speak>a<break time=\"1s\"/><prosody rate='fast'>b &lt; c</prosody><!-- d --></speak>";
  galago::parse_ssml(whole);
  for (size_t length = 0; length < whole.size(); ++length)
    CHECK_THROWS(galago::parse_ssml(whole.substr(0, length)), "ssml: line 1");
}

TEST(ipa_and_arpabet_become_phones_of_the_voice) {
  CHECK_EQ(galago::arpabet_of_ipa("təˈmeɪtoʊ").value_or(""), "T AH0 M EY1 T OW0");
  CHECK_EQ(galago::arpabet_of_ipa("/dʒʌmp/").value_or(""), "JH AH1 M P");
  CHECK(!galago::arpabet_of_ipa("х"));
  CHECK(!galago::arpabet_of_ipa(""));
  CHECK_EQ(galago::normalized_arpabet("t ah0 m ey1").value_or(""), "T AH0 M EY1");
  CHECK(!galago::normalized_arpabet("B3"));
  CHECK(!galago::normalized_arpabet(" "));
}
