// SPDX-License-Identifier: Apache-2.0
#include "bench/report.h"

#include <algorithm>
#include <cstdio>

#include "nlohmann/json.hpp"

namespace jetd::bench {
namespace {

using nlohmann::json;

double Micros(int64_t ns) { return static_cast<double>(ns) / 1e3; }

double Per(double amount, int64_t count) {
  return count > 0 ? amount / static_cast<double>(count) : 0;
}

json PercentilesOf(const Histogram& h) {
  return {{"count", h.count()},
          {"mean", h.mean_ns() / 1e3},
          {"p50", Micros(h.Quantile(0.5))},
          {"p90", Micros(h.Quantile(0.9))},
          {"p99", Micros(h.Quantile(0.99))},
          {"p99.9", Micros(h.Quantile(0.999))},
          {"max", Micros(h.max_ns())}};
}

// What CPU is divided by: events for watches, keys for lists, operations otherwise.
int64_t UnitsOf(const PhaseReport& report) {
  return report.spec.kind == PhaseKind::kWatch ? static_cast<int64_t>(report.lag.count())
                                               : report.result.items;
}

int64_t ServerCpuNs(const PhaseReport& report) {
  int64_t sum = 0;
  for (const ProcessUsage& usage : report.servers) sum += usage.cpu_ns;
  return sum;
}

json ServerOf(const ProcessUsage& usage, const PhaseReport& report) {
  const int64_t ops = report.result.ops;
  const auto cpu_us = Micros(usage.cpu_ns);
  return {{"name", usage.name},
          {"pid", usage.pid},
          {"cpu_us", cpu_us},
          {"cpu_us_per_op", Per(cpu_us, ops)},
          {"cpu_us_per_unit", Per(cpu_us, UnitsOf(report))},
          {"context_switches", usage.context_switches},
          {"disk_write_bytes", usage.disk_write_bytes},
          {"pss_bytes", usage.pss_bytes},
          {"anonymous_bytes", usage.anonymous_bytes},
          {"rss_bytes", usage.rss_bytes},
          {"peak_rss_bytes", usage.peak_rss_bytes}};
}

}  // namespace

std::string TextOf(const PhaseReport& report) {
  const int64_t units = UnitsOf(report);
  const double seconds = std::max(report.seconds, 1e-9);
  const Histogram& times =
      report.spec.kind == PhaseKind::kWatch ? report.lag : report.result.latency;
  char line[512];
  std::snprintf(line, sizeof(line),
                "%-44s %9.0f ops/s %10.0f units/s  p50 %8.0f p99 %8.0f us  server CPU %7.2f "
                "us/unit  generator %6.2f us/unit",
                report.text.c_str(), static_cast<double>(report.result.ops) / seconds,
                static_cast<double>(units) / seconds, Micros(times.Quantile(0.5)),
                Micros(times.Quantile(0.99)), Per(Micros(ServerCpuNs(report)), units),
                Per(Micros(report.generator_cpu_ns), units));
  std::string text = line;
  if (report.result.errors > 0) {
    std::snprintf(line, sizeof(line),
                  "\n  %lld WRONG: ", static_cast<long long>(report.result.errors));
    text += line + report.result.first_error;
  }
  return text;
}

std::string JsonOf(const PhaseReport& report) {
  const double seconds = std::max(report.seconds, 1e-9);
  const DriverResult& result = report.result;
  const int64_t units = UnitsOf(report);
  json servers = json::array();
  for (const ProcessUsage& usage : report.servers) servers.push_back(ServerOf(usage, report));
  json all = {{"phase", report.text},
              {"kind", report.spec.name},
              {"clients", report.spec.clients},
              {"rate", report.spec.rate},
              {"value_bytes", report.spec.value_bytes},
              {"seconds", report.seconds},
              {"ops", result.ops},
              {"units", units},
              {"errors", result.errors},
              {"first_error", result.first_error},
              {"ops_per_second", static_cast<double>(result.ops) / seconds},
              {"units_per_second", static_cast<double>(units) / seconds},
              {"latency_us", PercentilesOf(result.latency)},
              {"server_cpu_us_per_unit", Per(Micros(ServerCpuNs(report)), units)},
              {"generator_cpu_us_per_unit", Per(Micros(report.generator_cpu_ns), units)},
              {"generator_cores", static_cast<double>(report.generator_cpu_ns) / 1e9 / seconds},
              {"servers", servers},
              {"keys", report.keys}};
  if (report.spec.kind == PhaseKind::kWatch) all["lag_us"] = PercentilesOf(report.lag);
  if (report.spec.kind == PhaseKind::kAwait) all["ready_at_ns"] = report.ready_at_ns;
  return all.dump();
}

}  // namespace jetd::bench
