#include "text/ssml.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "text/arpabet.h"
#include "text/xml_reader.h"

namespace galago {
namespace {

constexpr size_t kMaxStyles = 4096;
constexpr size_t kMaxPhonemeBytes = 400;
constexpr uint32_t kMaxBreakMs = 10'000;
constexpr std::string_view kSource = "ssml";

// A number at the beginning of a text, and what follows it. nullopt: there is none.
struct Quantity {
  double value;
  std::string_view unit;
  bool is_signed;
};
std::optional<Quantity> parse_quantity(std::string_view text) {
  size_t end = 0;
  const bool is_signed = !text.empty() && (text[0] == '+' || text[0] == '-');
  if (is_signed) end = 1;
  const size_t first_digit = end;
  while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.')) ++end;
  const std::string number(text.substr(0, end));
  if (end == first_digit || end > 12 || std::count(number.begin(), number.end(), '.') > 1)
    return std::nullopt;
  if (end == first_digit + 1 && number.back() == '.') return std::nullopt;
  // Digits one by one: strtod would read the decimal point of the process's locale.
  double value = 0.0, scale = 1.0;
  bool is_fraction = false;
  for (const char c : number.substr(first_digit)) {
    if (c == '.') {
      is_fraction = true;
    } else if (is_fraction) {
      value += (c - '0') * (scale /= 10.0);
    } else {
      value = 10.0 * value + (c - '0');
    }
  }
  return Quantity{number[0] == '-' ? -value : value, text.substr(end), is_signed};
}

struct NamedValue {
  const char* name;
  float value;
};

template <size_t N>
std::optional<float> find_named(std::string_view text, const NamedValue (&values)[N]) {
  for (const NamedValue& named : values)
    if (text == named.name) return named.value;
  return std::nullopt;
}

constexpr NamedValue kRates[] = {{"x-slow", 0.5f},  {"slow", 0.75f}, {"medium", 1.0f},
                                 {"default", 1.0f}, {"fast", 1.25f}, {"x-fast", 1.6f}};
constexpr NamedValue kPitches[] = {{"x-low", -6.0f},  {"low", -3.0f}, {"medium", 0.0f},
                                   {"default", 0.0f}, {"high", 3.0f}, {"x-high", 6.0f}};
constexpr NamedValue kVolumes[] = {{"silent", -96.0f}, {"x-soft", -12.0f}, {"soft", -6.0f},
                                   {"medium", 0.0f},   {"default", 0.0f},  {"loud", 4.0f},
                                   {"x-loud", 8.0f}};

// A factor: "slow", "80%", "+20%", "1.5".
std::optional<float> parse_rate(std::string_view text) {
  if (const auto named = find_named(text, kRates)) return named;
  const auto quantity = parse_quantity(text);
  if (!quantity || (quantity->unit != "%" && !quantity->unit.empty())) return std::nullopt;
  double factor = quantity->unit == "%" ? quantity->value / 100.0 : quantity->value;
  if (quantity->is_signed) factor += 1.0;
  if (!(factor > 0.0)) return std::nullopt;
  return static_cast<float>(factor);
}

// Semitones: "high", "+2st", "-10%".
std::optional<float> parse_pitch(std::string_view text) {
  if (const auto named = find_named(text, kPitches)) return named;
  const auto quantity = parse_quantity(text);
  if (!quantity) return std::nullopt;
  if (quantity->unit == "st") return static_cast<float>(quantity->value);
  if (quantity->unit != "%") return std::nullopt;
  const double factor = quantity->value / 100.0 + (quantity->is_signed ? 1.0 : 0.0);
  if (!(factor > 0.0)) return std::nullopt;
  return static_cast<float>(12.0 * std::log2(factor));
}

std::optional<float> parse_volume(std::string_view text) {
  if (const auto named = find_named(text, kVolumes)) return named;
  const auto quantity = parse_quantity(text);
  if (!quantity || quantity->unit != "dB") return std::nullopt;
  return static_cast<float>(quantity->value);
}

std::optional<SayAs> parse_say_as(std::string_view text) {
  static constexpr struct {
    const char* name;
    SayAs how;
  } kKinds[] = {{"characters", SayAs::kCharacters},
                {"spell-out", SayAs::kCharacters},
                {"verbatim", SayAs::kCharacters},
                {"cardinal", SayAs::kCardinal},
                {"number", SayAs::kCardinal},
                {"ordinal", SayAs::kOrdinal},
                {"digits", SayAs::kDigits},
                {"time", SayAs::kTime},
                {"date", SayAs::kDate},
                {"telephone", SayAs::kTelephone}};
  for (const auto& kind : kKinds)
    if (text == kind.name) return kind.how;
  return std::nullopt;
}

class SsmlReader {
 public:
  explicit SsmlReader(std::string_view text) : xml_(text, kSource) {
    document_.styles.push_back({});
  }

  SpeechDocument read() {
    if (xml_.next() != XmlReader::Event::kStart || xml_.name() != "speak")
      xml_.fail_here("expected <speak>");
    styles_.push_back(0);
    read_content();
    while (xml_.next() != XmlReader::Event::kFinish) {
    }
    return std::move(document_);
  }

 private:
  // Up to the end of the element that has just started.
  void read_content() {
    const size_t depth = xml_.depth();
    while (true) {
      switch (xml_.next()) {
        case XmlReader::Event::kText:
          append_plain(xml_.text(), static_cast<uint32_t>(xml_.begin_byte()), styles_.back(),
                       text());
          break;
        case XmlReader::Event::kEntity:
          append_plain(xml_.text(), here(xml_.begin_byte()), styles_.back(), text());
          break;
        case XmlReader::Event::kStart:
          read_element();
          break;
        case XmlReader::Event::kEnd:
          if (xml_.depth() < depth) return;
          break;
        case XmlReader::Event::kFinish:
          return;
      }
    }
  }

  void read_element() {
    const std::string name = xml_.name();
    if (name == "p" || name == "s") {
      add(SsmlItem::Kind::kSentenceEnd);
      read_content();
      add(SsmlItem::Kind::kSentenceEnd);
    } else if (name == "break") {
      read_break();
    } else if (name == "prosody") {
      styles_.push_back(read_prosody());
      read_content();
      styles_.pop_back();
    } else if (name == "say-as") {
      read_say_as();
    } else if (name == "sub") {
      read_sub();
    } else if (name == "phoneme") {
      read_phoneme();
    } else {
      xml_.fail_here("<" + name + "> is not read here");
    }
  }

  void read_break() {
    SsmlItem item;
    item.kind = SsmlItem::Kind::kPause;
    const std::string_view time = xml_.attribute("time"), strength = xml_.attribute("strength");
    if (strength == "none") {
      item.kind = SsmlItem::Kind::kNoPause;
    } else if (strength == "x-weak" || strength == "weak") {
      item.pause_ms = strength == "weak" ? 150 : 50, item.mark = ' ';
    } else if (strength.empty() || strength == "medium") {
      item.pause_ms = 300, item.mark = ',';
    } else if (strength == "strong" || strength == "x-strong") {
      item.pause_ms = strength == "strong" ? 600 : 1000, item.mark = '.';
    } else {
      refuse_value("strength", strength);
    }
    if (!time.empty()) {
      const auto quantity = parse_quantity(time);
      const bool is_time =
          quantity && quantity->value >= 0.0 && (quantity->unit == "ms" || quantity->unit == "s");
      if (!is_time) refuse_value("time", time);
      const double milliseconds = quantity->value * (quantity->unit == "s" ? 1000.0 : 1.0);
      if (milliseconds > kMaxBreakMs) xml_.fail_here("a break may last 10 s at most");
      if (strength.empty()) item.kind = SsmlItem::Kind::kPause, item.mark = ' ';
      item.pause_ms = static_cast<uint32_t>(milliseconds + 0.5);
    }
    expect_empty("break");
    document_.items.push_back(std::move(item));
  }

  uint16_t read_prosody() {
    Prosody prosody = document_.styles[styles_.back()];
    const std::string_view rate = xml_.attribute("rate"), pitch = xml_.attribute("pitch"),
                           volume = xml_.attribute("volume");
    if (rate.empty() && pitch.empty() && volume.empty())
      xml_.fail_here("<prosody> needs rate, pitch or volume");
    if (!rate.empty()) {
      const auto factor = parse_rate(rate);
      if (!factor) refuse_value("rate", rate);
      prosody.rate = std::clamp(prosody.rate * *factor, 0.25f, 4.0f);
    }
    if (!pitch.empty()) {
      const auto semitones = parse_pitch(pitch);
      if (!semitones) refuse_value("pitch", pitch);
      prosody.pitch_semitones = std::clamp(prosody.pitch_semitones + *semitones, -12.0f, 12.0f);
    }
    if (!volume.empty()) {
      const auto decibels = parse_volume(volume);
      if (!decibels) refuse_value("volume", volume);
      prosody.volume_db = std::clamp(prosody.volume_db + *decibels, -96.0f, 12.0f);
    }
    const auto known = std::find(document_.styles.begin(), document_.styles.end(), prosody);
    if (known == document_.styles.end()) {
      if (document_.styles.size() == kMaxStyles) xml_.fail_here("more than 4096 ways of prosody");
      document_.styles.push_back(prosody);
      return static_cast<uint16_t>(document_.styles.size() - 1);
    }
    return static_cast<uint16_t>(known - document_.styles.begin());
  }

  void read_say_as() {
    SsmlItem item;
    item.kind = SsmlItem::Kind::kSayAs;
    const std::string_view kind = xml_.attribute("interpret-as");
    const auto how = parse_say_as(kind);
    if (!how) refuse_value("interpret-as", kind);
    item.how = *how;
    item.format = xml_.attribute("format");
    item.style = styles_.back();
    read_inner_text("say-as", &item.text);
    document_.num_skipped += item.text.num_skipped;
    document_.items.push_back(std::move(item));
  }

  void read_sub() {
    if (xml_.attribute("alias").empty()) xml_.fail_here("<sub> needs an alias");
    const std::string alias(xml_.attribute("alias"));
    const SourceRange source = read_inner_text("sub", nullptr);
    append_plain(" ", source, styles_.back(), text());
    append_plain(alias, source, styles_.back(), text());
    append_plain(" ", source, styles_.back(), text());
  }

  void read_phoneme() {
    const std::string_view alphabet = xml_.attribute("alphabet"), written = xml_.attribute("ph");
    const bool is_ipa = alphabet.empty() || alphabet == "ipa";
    if (!is_ipa && alphabet != "x-arpabet") refuse_value("alphabet", alphabet);
    const auto phones = is_ipa ? arpabet_of_ipa(written) : normalized_arpabet(written);
    if (!phones) refuse_value("ph", written);
    if (phones->size() > kMaxPhonemeBytes) xml_.fail_here("more than some 100 phones in one ph");
    SsmlItem item;
    item.kind = SsmlItem::Kind::kPhonemes;
    item.phones = *phones;
    item.style = styles_.back();
    item.source = read_inner_text("phoneme", nullptr);
    document_.items.push_back(std::move(item));
  }

  // The text of an element that holds nothing else, and where it stands.
  SourceRange read_inner_text(const char* element, PlainText* into) {
    SourceRange source = {static_cast<uint32_t>(xml_.end_byte()),
                          static_cast<uint32_t>(xml_.end_byte())};
    while (true) {
      const XmlReader::Event event = xml_.next();
      if (event == XmlReader::Event::kEnd) return source;
      if (event == XmlReader::Event::kStart)
        xml_.fail_here("<" + xml_.name() + "> inside <" + element + ">");
      source.end_byte = static_cast<uint32_t>(xml_.end_byte());
      if (into == nullptr) continue;
      if (event == XmlReader::Event::kText) {
        append_plain(xml_.text(), static_cast<uint32_t>(xml_.begin_byte()), styles_.back(), into);
      } else {
        append_plain(xml_.text(), here(xml_.begin_byte()), styles_.back(), into);
      }
    }
  }

  void expect_empty(const char* element) {
    if (xml_.next() != XmlReader::Event::kEnd)
      xml_.fail_here(std::string("<") + element + "> holds nothing");
  }

  [[noreturn]] void refuse_value(const char* attribute, std::string_view value) {
    xml_.fail_here(std::string(attribute) + "=\"" + std::string(value.substr(0, 64)) + "\" in <" +
                   xml_.name() + "> is not understood");
  }

  SourceRange here(size_t begin) const {
    return {static_cast<uint32_t>(begin), static_cast<uint32_t>(xml_.end_byte())};
  }

  void add(SsmlItem::Kind kind) {
    SsmlItem item;
    item.kind = kind;
    document_.items.push_back(std::move(item));
  }

  // Text goes on in the same item, so that the rules see what stands around it.
  PlainText* text() {
    if (document_.items.empty() || document_.items.back().kind != SsmlItem::Kind::kText)
      add(SsmlItem::Kind::kText);
    return &document_.items.back().text;
  }

  XmlReader xml_;
  SpeechDocument document_;
  std::vector<uint16_t> styles_;  // of the open elements
};

}  // namespace

bool is_ssml(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return false;
  if (text.substr(begin, 6) == "<?xml ") return true;
  if (text.substr(begin, 6) != "<speak") return false;
  const char behind = begin + 6 < text.size() ? text[begin + 6] : ' ';
  return behind == '>' || behind == '/' || behind == ' ' || behind == '\n' || behind == '\t' ||
         behind == '\r';
}

SpeechDocument parse_ssml(std::string_view text) {
  SpeechDocument document = SsmlReader(text).read();
  for (const SsmlItem& item : document.items)
    if (item.kind == SsmlItem::Kind::kText) document.num_skipped += item.text.num_skipped;
  return document;
}

SpeechDocument plain_document(std::string_view text) {
  SpeechDocument document;
  document.styles.push_back({});
  SsmlItem& item = document.items.emplace_back();
  append_plain(text, 0, 0, &item.text);
  document.num_skipped = item.text.num_skipped;
  return document;
}

}  // namespace galago
