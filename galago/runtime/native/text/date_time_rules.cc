#include "text/date_time_rules.h"

#include <string>
#include <vector>

#include "text/spoken_numbers.h"

namespace galago {
namespace {

constexpr std::string_view kMonths[] = {"january",   "february", "march",    "april",
                                        "may",       "june",     "july",     "august",
                                        "september", "october",  "november", "december"};

struct Clock {
  std::string_view hour, minute, second;  // second may be empty
  char meridiem = ' ';                    // 'a' or 'p'
};

// "am", "AM", "a.m", "p.m" (its last full stop is punctuation to the tokens).
char meridiem_of(std::string_view text) {
  std::string letters;
  for (const char c : text)
    if (c != '.') letters.push_back(to_lower(c));
  const bool is_one = letters == "am" || letters == "pm";
  return is_one && text.size() <= 4 ? letters[0] : ' ';
}

bool in_range(std::string_view digits, unsigned long long low, unsigned long long high) {
  return all_digits(digits) && digits.size() <= 4 && number_value(digits) >= low &&
         number_value(digits) <= high;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// "7:30", "19:45:10", "7pm", "7:30pm"; an hour alone is a time only with its meridiem.
bool parse_clock(std::string_view text, Clock* clock) {
  size_t num_digits = text.size();
  while (num_digits > 0 && (is_letter(text[num_digits - 1]) || text[num_digits - 1] == '.'))
    --num_digits;
  if (num_digits < text.size()) {
    clock->meridiem = meridiem_of(text.substr(num_digits));
    if (clock->meridiem == ' ') return false;
  }
  const std::vector<std::string_view> parts = split(text.substr(0, num_digits), ':');
  if (parts.size() > 3 || parts[0].size() > 2 || !in_range(parts[0], 0, 24)) return false;
  clock->hour = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].size() != 2 || !in_range(parts[i], 0, 59)) return false;
    (i == 1 ? clock->minute : clock->second) = parts[i];
  }
  if (clock->meridiem != ' ') return in_range(clock->hour, 1, 12);
  return parts.size() > 1;
}

void say_clock(const Clock& clock, SpokenWords* out) {
  const unsigned long long hour = number_value(clock.hour);
  const unsigned long long minute = clock.minute.empty() ? 0 : number_value(clock.minute);
  say_cardinal(clock.hour, out);
  if (minute != 0) {
    if (minute < 10) out->add_word("oh");
    say_cardinal(clock.minute, out);
  } else if (clock.meridiem == ' ') {
    out->add_word(hour >= 1 && hour <= 12 ? "o'clock" : "hundred");
  }
  if (!clock.second.empty()) {
    out->add_word("and");
    say_cardinal(clock.second, out);
    out->add_word(number_value(clock.second) == 1 ? "second" : "seconds");
  }
  if (clock.meridiem != ' ') {
    out->add_letter(clock.meridiem);
    out->add_letter('m');
  }
}

struct Date {
  std::string_view month;  // a name
  std::string_view day, year;
};

bool set_date(std::string_view month, std::string_view day, std::string_view year, Date* date) {
  if (!in_range(month, 1, 12) || !in_range(day, 1, 31) || month.size() > 2 || day.size() > 2)
    return false;
  date->month = kMonths[number_value(month) - 1];
  date->day = day;
  date->year = year;
  return true;
}

// Year first with any separator; with slashes the month first unless it cannot be one; with full
// stops the day first.
bool parse_date(std::string_view text, Date* date) {
  for (const char separator : {'-', '/', '.'}) {
    const std::vector<std::string_view> parts = split(text, separator);
    if (parts.size() != 3) continue;
    for (const std::string_view part : parts)
      if (!all_digits(part)) return false;
    if (parts[0].size() == 4) return set_date(parts[1], parts[2], parts[0], date);
    if (parts[2].size() != 4 && !(separator == '/' && parts[2].size() == 2)) return false;
    if (separator != '.' && set_date(parts[0], parts[1], parts[2], date)) return true;
    return set_date(parts[1], parts[0], parts[2], date);
  }
  return false;
}

void say_date(const Date& date, SpokenWords* out) {
  out->add_word(date.month, true);
  if (!date.day.empty()) say_ordinal(date.day, out);
  if (date.year.size() == 4) {
    say_year(date.year, out);
  } else if (!date.year.empty()) {
    if (date.year[0] == '0') out->add_word("oh");
    say_cardinal(date.year, out);
  }
}

// "21", "21st": the day of a month. Empty for what is none.
std::string_view day_of(std::string_view text) {
  size_t num_digits = 0;
  while (num_digits < text.size() && is_digit(text[num_digits])) ++num_digits;
  const std::string ending = lower(text.substr(num_digits));
  const bool is_day =
      ending.empty() || ending == "st" || ending == "nd" || ending == "rd" || ending == "th";
  const std::string_view digits = text.substr(0, num_digits);
  return is_day && digits.size() <= 2 && in_range(digits, 1, 31) ? digits : std::string_view();
}

}  // namespace

std::string_view month_name(std::string_view text) {
  const std::string name = lower(text);
  for (const std::string_view month : kMonths) {
    if (name == month) return month;
    if (name == month.substr(0, 3) || (name == "sept" && month == "september")) return month;
  }
  return {};
}

bool is_year(std::string_view text) { return text.size() == 4 && in_range(text, 1100, 2099); }

TokensRead say_time(const TokenView& tokens, size_t i, SpokenWords* out) {
  TokensRead read;
  Clock clock;
  const std::string_view core = tokens.core(i);
  const char meridiem = meridiem_of(tokens.follower(i));
  const bool is_clock = parse_clock(core, &clock);
  const bool is_hour = core.size() <= 2 && in_range(core, 1, 12);
  if (meridiem != ' ' && (is_hour || (is_clock && clock.meridiem == ' '))) {
    if (is_hour) clock.hour = core;
    clock.meridiem = meridiem;
    read = {2, true};
  } else if (is_clock) {
    read = {1, clock.meridiem != ' ' && core.find('.') != std::string_view::npos};
  } else {
    return read;
  }
  out->set_origin(tokens.source(i, read.num_tokens), tokens.style(i));
  say_clock(clock, out);
  return read;
}

TokensRead say_date(const TokenView& tokens, size_t i, SpokenWords* out) {
  TokensRead read;
  Date date;
  const std::string_view core = tokens.core(i);
  if (parse_date(core, &date)) {
    read = {1, false};
  } else if (is_upper(core[0]) && !month_name(core).empty()) {
    // "Nov 21", "Nov. 21st, 2026", "November 2026"
    date.month = month_name(core);
    const std::string_view next = tokens.follower(i, true);
    date.day = day_of(next);
    if (!date.day.empty()) {
      read = {2, false};
      const char mark = tokens[i + 1].mark;
      const bool may_go_on = mark == ' ' || (mark == ',' && !tokens[i + 1].is_in_brackets);
      if (may_go_on && is_year(tokens.core(i + 2)))
        date.year = tokens.core(i + 2), read.num_tokens = 3;
    } else if (is_year(next)) {
      date.year = next;
      read = {2, false};
    } else if (tokens[i].has_period && core.size() <= 4 && core != "May") {
      read = {1, true};  // "in Nov."
    } else {
      return read;
    }
  } else if (!day_of(core).empty()) {
    // "21 November 2026", "21st of November" keeps its own words
    const std::string_view next = tokens.follower(i);
    if (next.empty() || !is_upper(next[0]) || month_name(next).empty()) return read;
    date.month = month_name(next);
    date.day = day_of(core);
    read = {2, false};
    const std::string_view year = tokens.follower(i + 1, true);
    if (is_year(year)) date.year = year, read.num_tokens = 3;
  } else {
    return read;
  }
  out->set_origin(tokens.source(i, read.num_tokens), tokens.style(i));
  say_date(date, out);
  return read;
}

bool say_time_text(std::string_view text, SpokenWords* out) {
  std::string joined;
  for (const char c : text)
    if (c != ' ') joined.push_back(c);
  while (!joined.empty() && joined.back() == '.') joined.pop_back();
  Clock clock;
  if (!parse_clock(joined, &clock)) return false;
  say_clock(clock, out);
  return true;
}

bool say_date_text(std::string_view text, std::string_view format, SpokenWords* out) {
  Date date;
  if (format.empty() || format == "mdy" || format == "ymd") {
    if (!parse_date(text, &date)) return false;
    say_date(date, out);
    return true;
  }
  // The format says which part is which, one letter for each.
  std::vector<std::string_view> parts = {text};
  for (const char separator : {'-', '/', '.', ' '})
    if (parts.size() == 1) parts = split(text, separator);
  if (parts.size() != format.size()) return false;
  std::string_view month, day, year;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!all_digits(parts[i])) return false;
    if (format[i] == 'm') month = parts[i];
    if (format[i] == 'd') day = parts[i];
    if (format[i] == 'y') year = parts[i];
  }
  if (month.empty() && day.empty() && is_year(year)) {
    say_year(year, out);
    return true;
  }
  if (!set_date(month, day.empty() ? "1" : day, year, &date)) return false;
  date.day = day;
  say_date(date, out);
  return true;
}

}  // namespace galago
