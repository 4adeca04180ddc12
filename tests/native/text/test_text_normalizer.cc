// What is read how: each row of the tables is a text and its spoken words.
#include <string>

#include "check.h"
#include "text/spoken_text.h"

namespace {

struct Row {
  const char* text;
  const char* words;
};

template <size_t N>
void check_rows(const Row (&rows)[N]) {
  for (const Row& row : rows) {
    const std::string spoken = spoken_line(row.text);
    if (spoken != row.words)
      check::failure(__FILE__, __LINE__) << "\"" << row.text << "\"\n  is read     " << spoken
                                         << "\n  instead of  " << row.words << "\n";
  }
}

}  // namespace

TEST(whole_numbers_are_said_up_to_fifteen_digits) {
  check_rows({
      {"0", "zero"},
      {"7", "seven"},
      {"13", "thirteen"},
      {"21", "twenty one"},
      {"100", "one hundred"},
      {"105", "one hundred five"},
      {"1204", "one thousand two hundred four"},
      {"1,204", "one thousand two hundred four"},
      {"40,000 people", "forty thousand people"},
      {"1,000,000", "one million"},
      {"2000000000", "two billion"},
      {"999,999,999,999,999",
       "nine hundred ninety nine trillion nine hundred ninety nine billion nine hundred ninety "
       "nine "
       "million nine hundred ninety nine thousand nine hundred ninety nine"},
      {"1234567890123456",
       "one two three four five six seven eight nine zero one two three four five six"},
      {"007", "zero zero seven"},
      {"-5", "minus five"},
      {"\xE2\x88\x92"
       "5",
       "minus five"},
      {"\xEF\xBC\x94\xEF\xBC\x92", "forty two"},
  });
}

TEST(decimals_ordinals_fractions_and_ranges_are_said) {
  check_rows({
      {"3.14", "three point one four"},
      {".5", "zero point five"},
      {"-0.25", "minus zero point two five"},
      {"1,204.50", "one thousand two hundred four point five zero"},
      {"1st 2nd 3rd 4th", "first second third fourth"},
      {"the 21st of May", "the twenty first of may"},
      {"12th 20th 100th", "twelfth twentieth one hundredth"},
      {"1/2", "one half"},
      {"3/4 of it", "three quarters of it"},
      {"2/3", "two thirds"},
      {"1/100", "one hundredth"},
      {"7/120", "seven over one hundred twenty"},
      {"2 1/2 cups", "two and a half cups"},
      {"2\xC2\xBD cups", "two and a half cups"},
      {"1 3/4", "one and three quarters"},
      {"5-10", "five to ten"},
      {"5\xE2\x80\x93"
       "10 km",
       "five to ten kilometers"},
      {"5-10km", "five to ten kilometers"},
      {"24/7", "twenty four seven"},
      {"16:9", "sixteen to nine"},
      {"2x4", "two by four"},
      {"1.2.3", "one dot two dot three"},
      {"10%", "ten percent"},
      {"2.5 %", "two point five percent"},
      {"~5", "about five"},
      {"18+", "eighteen plus"},
  });
}

TEST(years_are_said_where_they_are_years) {
  check_rows({
      {"in 1984", "in nineteen eighty four"},
      {"since 1900.", "since nineteen hundred ."},
      {"in 1905", "in nineteen oh five"},
      {"in 2005", "in two thousand five"},
      {"by 2026", "by twenty twenty six"},
      {"(1969)", "nineteen sixty nine ,"},
      {"1969 was good", "nineteen sixty nine was good"},
      {"we have 1969 apples", "we have one thousand nine hundred sixty nine apples"},
      {"the 1990s", "the nineteen nineties"},
      {"the '80s", "the eighties"},
      {"mid-1950s", "mid nineteen fifties"},
      {"1990-1995", "nineteen ninety to nineteen ninety five"},
      {"1914\xE2\x80\x93"
       "18",
       "nineteen fourteen to eighteen"},
  });
}

TEST(money_is_said_with_its_small_coins) {
  check_rows({
      {"$5", "five dollars"},
      {"$1", "one dollar"},
      {"$5.50", "five dollars and fifty cents"},
      {"$0.99", "ninety nine cents"},
      {"$0.01", "one cent"},
      {"$1,000", "one thousand dollars"},
      {"$2.5 million", "two point five million dollars"},
      {"$5M", "five million dollars"},
      {"$5-10", "five to ten dollars"},
      {"-$5", "minus five dollars"},
      {"\xE2\x82\xAC"
       "3",
       "three euros"},
      {"3 EUR", "three euros"},
      {"3\xE2\x82\xAC", "three euros"},
      {"\xC2\xA3"
       "2.01",
       "two pounds and one penny"},
      {"\xC2\xA5"
       "500",
       "five hundred yen"},
      {"50\xC2\xA2", "fifty cents"},
      {"US$20", "twenty dollars"},
  });
}

TEST(times_are_said) {
  check_rows({
      {"7:30", "seven thirty"},
      {"7:05", "seven oh five"},
      {"7:00", "seven o'clock"},
      {"19:45", "nineteen forty five"},
      {"19:00", "nineteen hundred"},
      {"7:30 pm", "seven thirty P M"},
      {"7:30pm", "seven thirty P M"},
      {"at 7 p.m. on Monday", "at seven P M on monday"},
      {"at 7 p.m. She left.", "at seven P M . she left ."},
      {"7 AM", "seven A M"},
      {"12:30:15", "twelve thirty and fifteen seconds"},
      {"25:70", "twenty five to seventy"},
  });
}

TEST(dates_are_said) {
  check_rows({
      {"2026-11-21", "november twenty first twenty twenty six"},
      {"11/21/2026", "november twenty first twenty twenty six"},
      {"21/11/2026", "november twenty first twenty twenty six"},
      {"21.11.2026", "november twenty first twenty twenty six"},
      {"1/2/03", "january second oh three"},
      {"Nov 21", "november twenty first"},
      {"Nov. 21, 2026, at noon", "november twenty first twenty twenty six , at noon"},
      {"November 2026", "november twenty twenty six"},
      {"21 November 2026", "november twenty first twenty twenty six"},
      {"May I go?", "may i go ?"},
      {"on May 5th", "on may fifth"},
      {"2026-13-45", "two thousand twenty six thirteen forty five"},
  });
}

TEST(units_are_said) {
  check_rows({
      {"5 km", "five kilometers"},
      {"1 km", "one kilometer"},
      {"100 km/h", "one hundred kilometers per hour"},
      {"100km/h", "one hundred kilometers per hour"},
      {"20 \xC2\xB0"
       "C",
       "twenty degrees celsius"},
      {"20\xE2\x84\x83", "twenty degrees celsius"},
      {"-5\xC2\xB0"
       "C",
       "minus five degrees celsius"},
      {"90\xC2\xB0", "ninety degrees"},
      {"1 kg", "one kilogram"},
      {"2.5 kg", "two point five kilograms"},
      {"16 ms", "sixteen milliseconds"},
      {"3000 mAh", "three thousand milliamp hours"},
      {"2 kWh", "two kilowatt hours"},
      {"5 \xC2\xB5m", "five micrometers"},
      {"10 m/s", "ten meters per second"},
      {"50 m\xC2\xB2", "fifty square meters"},
      {"8GB", "eight gigabytes"},
      {"2.4 GHz", "two point four gigahertz"},
      {"5A", "five amps"},
      {"5 A", "five A"},
      {"6 ft", "six feet"},
      {"5-km run", "five kilometers run"},
      {"5 k\xCE\xA9", "five kiloohms"},
  });
}

TEST(telephone_numbers_are_said_in_groups) {
  check_rows({
      {"555-0123", "five five five , zero one two three"},
      {"(415) 555-0123", "four one five , five five five , zero one two three"},
      {"415-555-0123", "four one five , five five five , zero one two three"},
      {"+1 415 555 0123", "plus one , four one five , five five five , zero one two three"},
      {"4155550123", "four one five five five five zero one two three"},
      {"192.168.0.1", "one ninety two dot one sixty eight dot zero dot one"},
  });
}

TEST(abbreviations_are_read_by_their_place) {
  check_rows({
      {"Dr. Grey", "doctor grey"},
      {"12 Park Dr.", "twelve park drive ."},
      {"Mr. and Mrs. Hill", "mister and missus hill"},
      {"St. Ives", "saint ives"},
      {"on Main St. today", "on main street today"},
      {"cats, dogs, etc., and so on", "cats , dogs , et cetera , and so on"},
      {"a fruit, e.g. an apple", "a fruit , for example an apple"},
      {"i.e., now", "that is , now"},
      {"Reds vs. Blues", "reds versus blues"},
      {"No. 5", "number five"},
      {"No. I will not.", "no . i will not ."},
      {"J. Smith", "J smith"},
      {"approx. 5", "approximately five"},
      {"w/o sugar", "without sugar"},
      {"It is big etc. We go.", "it is big et cetera . we go ."},
  });
}

TEST(capitals_are_spelled_or_read) {
  check_rows({
      {"USB", "U S B"},
      {"the CPU", "the C P U"},
      {"CPUs", "C P U's"},
      {"A.I.", "A I ."},
      {"A.I. is here", "A I is here"},
      {"the U.S. army", "the U S army"},
      {"NASA", "nasa"},
      {"HTML", "H T M L"},
      {"pdf", "P D F"},
      {"STOP", "stop"},
      {"SHUT THE FRONT DOOR", "shut the front door"},
      {"I see IT and US", "i see I T and U S"},
      {"YouTube", "youtube"},
      {"OpenHouse", "open house"},
      {"HTMLOpen", "H T M L open"},
      {"H2O", "H two O"},
      {"R2-D2", "R two D two"},
      {"MP3", "M P three"},
      {"COVID-19", "covid nineteen"},
      {"F-16", "F sixteen"},
      {"A320", "A three twenty"},
      {"4K", "four K"},
      {"v2.1", "V two point one"},
      {"plan B", "plan B"},
      {"A dog", "a dog"},
      {"grade A eggs", "grade A eggs"},
      {"T-shirt", "T shirt"},
      {"AT&T", "A T and T"},
      {"C++", "C plus plus"},
      {"C#", "C sharp"},
  });
}

TEST(roman_numerals_are_read_where_that_is_safe) {
  check_rows({
      {"World War II", "world war two"},
      {"Chapter IV", "chapter four"},
      {"Henry VIII", "henry the eighth"},
      {"Louis XIV.", "louis the fourteenth ."},
      {"I am", "i am"},
      {"vitamin C", "vitamin C"},
      {"part IIII", "part I I I I"},
  });
}

TEST(addresses_and_symbols_are_read_simply) {
  check_rows({
      {"info@example.com", "info at example dot com"},
      {"https://www.example.org/a-b/", "W W W dot example dot org slash A dash B"},
      {"see example.com.", "see example dot com ."},
      {"salt & pepper", "salt and pepper"},
      {"2 + 2 = 4", "two plus two equals four"},
      {"2+2=4", "two plus two equals four"},
      {"#1", "number one"},
      {"#fun", "hashtag fun"},
      {"@home", "at home"},
      {"and/or", "and or"},
      {"3 \xC3\x97 4", "three times four"},
      {"5 < 6", "five less than six"},
      {"x\xC2\xB2", "X squared"},
      {"\xC2\xA7 5", "section five"},
      {"file.txt", "file dot T X T"},
  });
}

TEST(punctuation_becomes_marks) {
  check_rows({
      {"Hello, world!", "hello , world !"},
      {"Why? Because.", "why ? because ."},
      {"\xE2\x80\x9CYes,\xE2\x80\x9D he said.", "yes , he said ."},
      {"one - two", "one , two"},
      {"one \xE2\x80\x94 two", "one , two"},
      {"one\xE2\x80\x94two", "one , two"},
      {"one--two", "one , two"},
      {"well... no", "well , no"},
      {"Well... No", "well . no"},
      {"what?!", "what ?"},
      {"(or so)", "or so ,"},
      {"it (or so) is", "it , or so , is"},
      {"first\n\nsecond", "first . second"},
      {"* item", "item"},
      {"don\xE2\x80\x99t", "don't"},
      {"the dogs' house", "the dogs' house"},
      {"'quoted'", "quoted"},
      {"well-known", "well known"},
      {"...", ""},
      {"?!", ""},
      {"", ""},
      {" \t\n ", ""},
  });
}

TEST(accents_are_folded_and_other_scripts_are_skipped_and_counted) {
  check_rows({
      {"caf\xC3\xA9 na\xC3\xAFve", "cafe naive"},
      {"Stra\xC3\x9F"
       "e",
       "strasse"},
      {"\xC5\x81\xC3\xB3"
       "d\xC5\xBA",
       "lodz"},
      {"Vi\xE1\xBB\x87t", "viet"},
      {"e\xCC\x81t\xC3\xA9", "ete"},
      {"hello \xF0\x9F\x98\x80 world", "hello world"},
      {"\xE6\x97\xA5\xE6\x9C\xAC", ""},
      {"\xCF\x80 is 3.14", "pi is three point one four"},
      {"hello\xE2\x80\x8Bworld", "helloworld"},
      {"bad \xFF byte \xC3", "bad byte"},
  });
  galago::PlainText text;
  galago::append_plain("a \xF0\x9F\x98\x80\xE6\x97\xA5 \xCE\x91\xCE\xB8 \xFF", 0, 0, &text);
  CHECK_EQ(text.num_skipped, 5u);
  CHECK_EQ(text.characters.size(), text.sources.size());
  CHECK_EQ(text.characters.size(), text.styles.size());
}

TEST(words_know_which_bytes_they_come_from) {
  const std::string utf8 = "caf\xC3\xA9 costs $5.50, (or so).";
  galago::PlainText text;
  galago::append_plain(utf8, 0, 0, &text);
  galago::SpokenWords words;
  galago::normalize_text(text, is_common_word, &words);
  const auto source = [&](size_t i) {
    const galago::SourceRange range = words.all()[i].source;
    return utf8.substr(range.begin_byte, range.end_byte - range.begin_byte);
  };
  CHECK_EQ(source(0), "caf\xC3\xA9");
  CHECK_EQ(source(2), "$5.50");
  CHECK_EQ(source(6), "$5.50");
  CHECK_EQ(source(7), "or");
}

TEST(ten_thousand_characters_of_anything_take_bounded_work) {
  for (const char* piece : {"a", "1", "-", ".", "A", "1,", "$", "I", "word ", "1-", "(", "\xC3\xA9",
                            "a-", "1/", "9:", "\n", "+1 ", "@", "X "}) {
    std::string text;
    while (text.size() < 10'000) text += piece;
    galago::PlainText plain;
    galago::append_plain(text, 0, 0, &plain);
    galago::SpokenWords words;
    galago::normalize_text(plain, is_common_word, &words);
    CHECK(words.size() <= 2 * text.size());
  }
}
