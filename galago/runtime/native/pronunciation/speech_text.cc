#include "pronunciation/speech_text.h"

#include <algorithm>

#include "base/status.h"
#include "pronunciation/word_phones.h"
#include "text/text_normalizer.h"

namespace galago {
namespace {

SpeechDocument read_document(std::string_view utf8, bool may_be_ssml) {
  if (utf8.size() > SpeechText::kMaxTextBytes)
    fail(GALAGO_E_INVALID_ARGUMENT, "the text has %zu bytes, at most %zu are spoken at once",
         utf8.size(), SpeechText::kMaxTextBytes);
  return may_be_ssml && is_ssml(utf8) ? parse_ssml(utf8) : plain_document(utf8);
}

SpokenWords words_of(const SpeechDocument& document, const IsWord& is_word) {
  SpokenWords words;
  for (const SsmlItem& item : document.items) {
    switch (item.kind) {
      case SsmlItem::Kind::kText:
        normalize_text(item.text, is_word, &words);
        break;
      case SsmlItem::Kind::kSayAs:
        // What is not of the kind that was promised is read as any text.
        if (!say_as(item.how, item.format, item.text, &words))
          normalize_text(item.text, is_word, &words);
        break;
      case SsmlItem::Kind::kPhonemes:
        words.set_origin(item.source, item.style);
        words.add_phones(item.phones);
        break;
      case SsmlItem::Kind::kPause:
        words.add_mark(item.mark);
        words.add_pause(item.pause_ms);
        break;
      case SsmlItem::Kind::kNoPause:
        words.remove_mark();
        break;
      case SsmlItem::Kind::kSentenceEnd:
        words.add_mark('.');
        break;
    }
  }
  return words;
}

// The dictionary's entry for "the" before a vowel.
constexpr std::string_view kTheBeforeVowel = "the/vowel";

class Writer {
 public:
  Writer(const Pronunciations& pronunciations, const G2p* g2p, const SpokenWords& words,
         size_t max_segment_phones)
      : pronunciations_(pronunciations),
        phones_of_(pronunciations, g2p),
        words_(words.all()),
        max_segment_phones_(max_segment_phones) {
    begin_ = phones_of_.row("^");
    leading_pause_ms_ = words.leading_pause_ms();
  }

  void write(SpeechScript* script) {
    // From the end, so that "the" knows what follows.
    std::vector<std::vector<uint8_t>> phones(words_.size());
    for (size_t i = words_.size(); i-- > 0;) {
      const bool is_the = words_[i].kind == SpokenWord::Kind::kWord && words_[i].text == "the";
      if (is_the && i + 1 < words_.size() && words_[i].mark == ' ' &&
          begins_with_vowel(phones[i + 1])) {
        const PhoneSpan span = pronunciations_.find(kTheBeforeVowel);
        phones[i].assign(span.begin(), span.end());
      }
      if (phones[i].empty()) phones_of_.append(words_, i, &phones[i]);
    }
    for (size_t i = 0; i < words_.size(); ++i) write_word(i, phones[i], script);
    close(script);
    script->num_unknown_words = phones_of_.num_unknown();
  }

 private:
  bool begins_with_vowel(const std::vector<uint8_t>& phones) const {
    if (phones.empty()) return false;
    const char last = pronunciations_.phones()[phones[0]].back();
    return last >= '0' && last <= '2';
  }

  void write_word(size_t i, const std::vector<uint8_t>& phones, SpeechScript* script) {
    const SpokenWord& word = words_[i];
    const bool is_too_long = !segment_.phones.empty() &&
                             segment_.phones.size() + phones.size() + 2 > max_segment_phones_;
    if (is_too_long) close(script);
    script->words.push_back({word.text, word.source});
    if (segment_.phones.empty()) add_mark(begin_, word.style, leading_pause_ms_);
    leading_pause_ms_ = 0;
    for (const uint8_t phone : phones)
      segment_.phones.push_back({phone, false, word.style, static_cast<uint32_t>(i), 0});
    add_mark(phones_of_.row(std::string_view(&word.mark, 1)), word.style, word.pause_ms);
    if (word.mark == '.' || word.mark == '?' || word.mark == '!') close(script);
  }

  void add_mark(uint8_t row, uint16_t prosody, uint32_t pause_ms) {
    segment_.phones.push_back({row, true, prosody, kNoWord, pause_ms});
  }

  // A segment ends with a mark of punctuation: ',' where the sentence goes on, '.' at the end.
  void close(SpeechScript* script) {
    if (segment_.phones.empty()) return;
    SpeechPhone& last = segment_.phones.back();
    const bool is_end = script->words.size() == words_.size();
    if (last.row == phones_of_.row(" ")) last.row = phones_of_.row(is_end ? "." : ",");
    script->segments.push_back(std::move(segment_));
    segment_ = {};
  }

  const Pronunciations& pronunciations_;
  WordPhones phones_of_;
  const std::vector<SpokenWord>& words_;
  const size_t max_segment_phones_;
  SpeechSegment segment_;
  uint8_t begin_ = 0;
  uint32_t leading_pause_ms_ = 0;
};

}  // namespace

SpeechText::SpeechText(const Pronunciations& pronunciations, const G2p* g2p,
                       size_t max_segment_phones)
    : pronunciations_(pronunciations), g2p_(g2p), max_segment_phones_(max_segment_phones) {
  const WordPhones checked(pronunciations, g2p);
  for (const std::string_view mark : {"^", " ", ",", ".", "?", "!"}) checked.row(mark);
}

SpokenWords SpeechText::words(std::string_view utf8, bool may_be_ssml) const {
  const auto is_word = [this](std::string_view word) {
    return !pronunciations_.find(word).empty();
  };
  return words_of(read_document(utf8, may_be_ssml), is_word);
}

SpeechScript SpeechText::parse(std::string_view utf8, bool may_be_ssml) const {
  SpeechDocument document = read_document(utf8, may_be_ssml);
  const auto is_word = [this](std::string_view word) {
    return !pronunciations_.find(word).empty();
  };
  const SpokenWords words = words_of(document, is_word);
  SpeechScript script;
  script.prosodies = std::move(document.styles);
  script.num_skipped_characters = document.num_skipped;
  Writer(pronunciations_, g2p_, words, max_segment_phones_).write(&script);
  return script;
}

}  // namespace galago
