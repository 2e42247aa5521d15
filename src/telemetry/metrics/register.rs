//! Metrics that are made and registered in one go. Names and labels are constants of this room, each registered once.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, Opts, Registry,
};

const VALID: &str = "valid and unique metric names";

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    put(registry, IntCounter::new(name, help).expect(VALID))
}

pub(super) fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> IntCounterVec {
    let counters = IntCounterVec::new(Opts::new(name, help), labels);
    put(registry, counters.expect(VALID))
}

/// Counters of what comes in fractions.
pub(super) fn sums(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> CounterVec {
    let counters = CounterVec::new(Opts::new(name, help), labels);
    put(registry, counters.expect(VALID))
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    put(registry, IntGauge::new(name, help).expect(VALID))
}

/// A gauge of what comes in fractions.
pub(super) fn fraction(registry: &Registry, name: &str, help: &str) -> Gauge {
    put(registry, Gauge::new(name, help).expect(VALID))
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    let gauges = GaugeVec::new(Opts::new(name, help), labels);
    put(registry, gauges.expect(VALID))
}

pub(super) fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    put(registry, Histogram::with_opts(options).expect(VALID))
}

pub(super) fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
    labels: &[&str],
) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    put(registry, HistogramVec::new(options, labels).expect(VALID))
}

fn put<M: Collector + Clone + 'static>(registry: &Registry, metric: M) -> M {
    let registered = registry.register(Box::new(metric.clone()));
    registered.expect(VALID);
    metric
}
