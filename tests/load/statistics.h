// The few numbers that a report is made of.
#pragma once

#include <optional>
#include <span>

namespace keystead::load {

// (Σx)² / (n Σx²): 1 when all have the same, 1/n when one has everything (Jain, Chiu and Hawe, DEC-TR-301,
// 1984). 1 for nobody and when nobody has anything.
double JainIndex(std::span<const double> shares);

// value / base; none when there is no base to compare with.
std::optional<double> Ratio(double value, double base);

}  // namespace keystead::load
