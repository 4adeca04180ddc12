// The JSON reader: what it takes, and that everything else is an error with a line.
#include "base/json.h"

#include <string>

#include "base/status.h"
#include "check.h"

using galago::Json;

namespace {

Json parse(const std::string& text) { return Json::parse(text, "test.json"); }

}  // namespace

TEST(values_of_every_type_are_read) {
  const Json json = parse(R"( {"a": [1, -2.5e3, 0], "b": {"c": true, "d": false, "e": null}} )");
  CHECK_EQ(json.find("a")->array[1].number, -2500.0);
  CHECK(json.find("b")->find("c")->boolean);
  CHECK(json.find("b")->find("e")->type == Json::Type::kNull);
  CHECK(json.find("x") == nullptr);
  CHECK_EQ(json.to_text(), R"({"a":[1,-2500,0],"b":{"c":true,"d":false,"e":null}})");
}

TEST(strings_are_utf8_and_escapes_are_decoded) {
  CHECK_EQ(parse(R"("\u0041\n\"\\\/é\u00e9\ud83d\ude00")").string, "A\n\"\\/éé😀");
  CHECK_EQ(parse("\"\\u0001\\t\"").to_text(), "\"\\u0001\\u0009\"");
}

TEST(what_is_written_is_read_again) {
  const std::string text = R"({"k\"ey":["\\",1.5,[],{}],"z":"日本"})";
  CHECK_EQ(parse(text).to_text(), text);
}

TEST(broken_text_is_an_error_with_its_line) {
  const char* broken[] = {"",
                          "{",
                          "[1,]",
                          "{\"a\":1,}",
                          "{\"a\" 1}",
                          "{a:1}",
                          "[1 2]",
                          "01",
                          "1.",
                          "-",
                          "1e",
                          "+1",
                          ".5",
                          "nul",
                          "tru",
                          "\"",
                          "\"\\x\"",
                          "\"\\u12\"",
                          "\"\\ud800\"",
                          "\"\\udc00\"",
                          "\"\\ud800\\u0041\"",
                          "\"\\u0000\"",
                          "\"\x01\"",
                          "\"\n\"",
                          "1 2",
                          "NaN",
                          "Infinity",
                          "1e999",
                          "'a'",
                          "// c",
                          "{\"a\":1,\"a\":2}"};
  for (const char* text : broken) {
    CHECK_THROWS(parse(text), "test.json: line 1: ");
  }
  CHECK_THROWS(parse("{\n\"a\": 1,\n\"b\": ?\n}"), "line 3");
}

TEST(malformed_utf8_is_an_error) {
  const char* malformed[] = {"\"\x80\"",
                             "\"\xC0\x80\"",
                             "\"\xC3\"",
                             "\"\xE0\x80\x80\"",
                             "\"\xED\xA0\x80\"",
                             "\"\xF0\x80\x80\x80\"",
                             "\"\xF4\x90\x80\x80\"",
                             "\"\xFF\"",
                             "\"\xE2\x82\""};
  for (const char* text : malformed) CHECK_THROWS(parse(text), "invalid UTF-8");
}

TEST(depth_is_bounded) {
  const int depth = Json::kMaxDepth;
  parse(std::string(depth - 1, '[') + std::string(depth - 1, ']'));
  CHECK_THROWS(parse(std::string(depth + 1, '[') + std::string(depth + 1, ']')), "too deeply");
  CHECK_THROWS(parse(std::string(1'000'000, '[')), "too deeply");
}

TEST(every_truncation_of_a_text_is_an_error) {
  const std::string text = R"({"a": [1.5e2, true, null, "x\u00e9y"], "b": {"c": -1}})";
  for (size_t length = 0; length < text.size(); ++length) {
    CHECK_THROWS(parse(text.substr(0, length)), "test.json");
  }
}
