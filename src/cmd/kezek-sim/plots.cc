#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>

#include "cmd/kezek-sim/comparison.h"

namespace kezek::simcmd {
namespace {

using replay::Figures;

constexpr double kWidth = 860;
constexpr double kHeight = 420;
constexpr double kLeft = 60;
constexpr double kRight = 690;  // the names of the lines stand to the right
constexpr double kTop = 40;
constexpr double kBottom = 370;
constexpr double kDay = 86'400;
// Distinct also to those who see few colours (Okabe and Ito).
constexpr std::array<const char*, 8> kColours = {"#0072b2", "#e69f00", "#009e73", "#cc79a7",
                                                 "#d55e00", "#56b4e9", "#000000", "#999999"};

struct Line {
  std::string name;
  std::vector<std::pair<double, double>> points;  // 0…1 each, from the left, from below
};
struct Tick {
  double at = 0;  // 0…1
  std::string text;
};

std::string Fixed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '<') {
      escaped += "&lt;";
    } else if (c == '&') {
      escaped += "&amp;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

double X(double part) { return kLeft + part * (kRight - kLeft); }
double Y(double part) { return kBottom - part * (kBottom - kTop); }

std::string TextAt(double x, double y, const std::string& anchor, const std::string& text) {
  return "<text x=\"" + Fixed(x) + "\" y=\"" + Fixed(y) + "\" text-anchor=\"" + anchor + "\">" +
         Escaped(text) + "</text>\n";
}

std::string Rule(double x1, double y1, double x2, double y2) {
  return "<line x1=\"" + Fixed(x1) + "\" y1=\"" + Fixed(y1) + "\" x2=\"" + Fixed(x2) + "\" y2=\"" +
         Fixed(y2) + "\" stroke=\"#ddd\"/>\n";
}

std::string Plot(const std::string& title, const std::vector<Tick>& across,
                 const std::vector<Line>& lines) {
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + Fixed(kWidth) +
                    " " + Fixed(kHeight) +
                    "\" font-family=\"sans-serif\" font-size=\"12\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  svg += TextAt(kLeft, 20, "start", title);
  for (int percent = 0; percent <= 100; percent += 20) {
    svg += Rule(kLeft, Y(percent / 100.0), kRight, Y(percent / 100.0));
    svg += TextAt(kLeft - 8, Y(percent / 100.0) + 4, "end", std::to_string(percent) + " %");
  }
  for (const Tick& tick : across) {
    svg += Rule(X(tick.at), kTop, X(tick.at), kBottom);
    svg += TextAt(X(tick.at), kBottom + 18, "middle", tick.text);
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string colour = kColours[i % kColours.size()];
    svg += "<polyline fill=\"none\" stroke=\"" + colour + "\" stroke-width=\"1.5\" points=\"";
    for (const auto& [x, y] : lines[i].points) svg += Fixed(X(x)) + "," + Fixed(Y(y)) + " ";
    svg += "\"/>\n";
    const double y = kTop + 20 * static_cast<double>(i) + 8;
    svg += "<rect x=\"" + Fixed(kRight + 15) + "\" y=\"" + Fixed(y - 9) +
           "\" width=\"12\" height=\"12\" fill=\"" + colour + "\"/>\n";
    svg += TextAt(kRight + 33, y + 2, "start", lines[i].name);
  }
  return svg + "</svg>\n";
}

}  // namespace

// Across: seconds in powers of ten, a second and less at the left edge.
std::string WaitPlot(const Comparison& comparison) {
  double longest = 10;
  for (const Figures& figures : comparison.policies) {
    longest = std::max(longest, figures.all.longest_s);
  }
  const double decades = std::ceil(std::log10(longest));
  const auto at = [&](double seconds) { return std::log10(std::max(seconds, 1.0)) / decades; };
  std::vector<Tick> across;
  for (const auto& [seconds, text] : {std::pair{1.0, "1 s"},
                                      {10.0, "10 s"},
                                      {60.0, "1 min"},
                                      {600.0, "10 min"},
                                      {3600.0, "1 h"},
                                      {36000.0, "10 h"},
                                      {kDay * 4, "4 d"},
                                      {kDay * 30, "30 d"}}) {
    if (at(seconds) <= 1) across.push_back({at(seconds), text});
  }
  std::vector<Line> lines;
  for (const Figures& figures : comparison.policies) {
    Line line{figures.policy, {}};
    const auto& waits = figures.wait_quantiles_s;
    for (std::size_t i = 0; i < waits.size(); ++i) {
      line.points.push_back(
          {at(waits[i]), static_cast<double>(i) / static_cast<double>(waits.size() - 1)});
    }
    line.points.push_back({1, 1});
    lines.push_back(std::move(line));
  }
  return Plot(comparison.trace + ": part of the jobs that waited no longer", across, lines);
}

std::string UtilisationPlot(const Comparison& comparison) {
  std::size_t slots = 1;
  const double slot_s = std::max(1.0, comparison.policies.front().slot_s);
  for (const Figures& figures : comparison.policies) {
    slots = std::max(slots, figures.utilisation_by_slot.size());
  }
  // A few jobs that run for weeks after the last has come would squeeze all else.
  const double span_s =
      static_cast<double>(comparison.list.jobs.back().submit_s - comparison.list.first_submit_s);
  slots = std::min(slots, static_cast<std::size_t>(1.5 * span_s / slot_s) + 1);
  std::vector<Tick> across;
  const double days = static_cast<double>(slots) * slot_s / kDay;
  for (int i = 0; i <= 5; ++i) across.push_back({i / 5.0, Fixed(days * i / 5.0) + " d"});
  std::vector<Line> lines;
  for (const Figures& figures : comparison.policies) {
    Line line{figures.policy, {}};
    for (std::size_t i = 0; i < slots && i < figures.utilisation_by_slot.size(); ++i) {
      line.points.push_back({(static_cast<double>(i) + 0.5) / static_cast<double>(slots),
                             std::min(1.0, figures.utilisation_by_slot[i])});
    }
    lines.push_back(std::move(line));
  }
  return Plot(comparison.trace + ": part of the GPUs that is held", across, lines);
}

}  // namespace kezek::simcmd
