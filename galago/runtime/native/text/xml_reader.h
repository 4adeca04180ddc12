// A pull parser for the small XML that SSML documents are: elements, attributes, text, comments.
//
// Bounded: no document type, no entities but the five of XML and numeric ones, limits on depth and
// attributes. Input is UTF-8; text is handed on as it stands in the source, entities apart.
#ifndef GALAGO_NATIVE_TEXT_XML_READER_H_
#define GALAGO_NATIVE_TEXT_XML_READER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace galago {

class XmlReader {
 public:
  static constexpr size_t kMaxDepth = 16;
  static constexpr size_t kMaxAttributes = 16;

  enum class Event {
    kStart,   // name(), attribute(); an empty element is a start and an end
    kEnd,     // name()
    kText,    // text(), begin_byte()
    kEntity,  // text() is the decoded character, which stands at begin_byte() ... end_byte()
    kFinish,  // behind the root element
  };

  // `source` names the text in messages and must outlive the reader.
  XmlReader(std::string_view text, std::string_view source) : text_(text), source_(source) {}

  // Throws Error (GALAGO_E_INVALID_ARGUMENT) saying what is wrong at which line and column.
  Event next();

  const std::string& name() const { return name_; }
  std::string_view text() const { return content_; }
  size_t begin_byte() const { return begin_; }
  size_t end_byte() const { return at_; }
  size_t depth() const { return open_.size(); }

  // The value of an attribute of the element that has just started; empty where it has none.
  std::string_view attribute(std::string_view name) const;

  // Throws the error that the element or attribute at begin_byte() deserves.
  [[noreturn]] void fail_here(const std::string& what) const { fail_at(begin_, what); }

 private:
  [[noreturn]] void fail_at(size_t at, const std::string& what) const;
  bool looking_at(std::string_view what) const { return text_.substr(at_, what.size()) == what; }
  void skip_space();
  void skip_until(std::string_view end, const char* what);
  std::string read_name();
  void read_start();
  void read_end();
  void read_attribute();
  char32_t read_entity();

  std::string_view text_;
  std::string_view source_;
  size_t at_ = 0;
  size_t begin_ = 0;
  std::string name_;
  std::string content_;
  std::vector<std::pair<std::string, std::string>> attributes_;
  std::vector<std::string> open_;
  bool is_empty_element_ = false;
  bool had_root_ = false;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_XML_READER_H_
